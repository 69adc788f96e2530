"""Weights of RecBole's models under the names of ours.

Each function takes RecBole's weights by name and returns ours; it takes them out of the dictionary, so that what is
left has no place here.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

Weights = dict[str, Tensor]


def copied(name: str, theirs: Weights) -> Weights:
    """Our weights for the case `name`. Raises `ValueError` for weights of RecBole that are left over."""
    left = dict(theirs)
    ours = CONVERSIONS[name](left)
    if left:
        raise ValueError(f"{name}: no place for {', '.join(left)}")
    return ours


def gru4rec(theirs: Weights) -> Weights:
    """Its recurrent layers have no biases; ours are zero."""
    ours = {"items.weight": theirs.pop("item_embedding.weight"), **_pair(theirs, "dense", "output")}
    layers = sum(key.startswith("gru_layers.weight_ih") for key in theirs)
    for layer in range(layers):
        for part in ("ih", "hh"):
            weight = theirs.pop(f"gru_layers.weight_{part}_l{layer}")
            ours[f"layers.{layer}.weight_{part}_l0"] = weight
            ours[f"layers.{layer}.bias_{part}_l0"] = torch.zeros_like(weight[:, 0])
    return ours


def sasrec(theirs: Weights) -> Weights:
    return {"items.weight": theirs.pop("item_embedding.weight"), **_transformer(theirs, "", "")}


def bert4rec(theirs: Weights) -> Weights:
    """The mask is the last row of its embedding. Its bias per item, which ours has not, must be zero."""
    rows = theirs.pop("item_embedding.weight")
    if theirs.pop("output_bias").any():
        raise ValueError("bert4rec: output_bias is not zero, and has no place here")
    return {
        "items.weight": rows[:-1],
        "mask_D": rows[-1],
        **_transformer(theirs, "", ""),
        **_pair(theirs, "output_ffn", "head.0"),
        **_pair(theirs, "output_ln", "head.2"),
    }


def core(theirs: Weights) -> Weights:
    return {
        "items.weight": theirs.pop("item_embedding.weight"),
        **_transformer(theirs, "net.", "encoder."),
        **_pair(theirs, "net.fn", "vote"),
    }


def core_mean(theirs: Weights) -> Weights:
    return {"items.weight": theirs.pop("item_embedding.weight")}


CONVERSIONS: dict[str, Callable[[Weights], Weights]] = {
    "gru4rec": gru4rec,
    "sasrec": sasrec,
    "bert4rec": bert4rec,
    "core": core,
    "core_mean": core_mean,
}


def _transformer(theirs: Weights, before: str, ours_before: str) -> Weights:
    ours = {f"{ours_before}positions.weight": theirs.pop(f"{before}position_embedding.weight")}
    ours |= _pair(theirs, f"{before}LayerNorm", f"{ours_before}embedding_norm")
    blocks = sum(key.endswith("multi_head_attention.query.weight") for key in theirs)
    for block in range(blocks):
        layer, mine = f"{before}trm_encoder.layer.{block}", f"{ours_before}blocks.{block}"
        attention, inner = f"{layer}.multi_head_attention", f"{layer}.feed_forward"
        ours |= _pair(theirs, f"{attention}.query", f"{mine}.attention.query")
        for part in ("weight", "bias"):  # keys and values are one product here
            both = [theirs.pop(f"{attention}.{name}.{part}") for name in ("key", "value")]
            ours[f"{mine}.attention.key_value.{part}"] = torch.cat(both)
        ours |= _pair(theirs, f"{attention}.dense", f"{mine}.output")
        ours |= _pair(theirs, f"{attention}.LayerNorm", f"{mine}.attention_norm")
        ours |= _pair(theirs, f"{inner}.dense_1", f"{mine}.feed_forward.0")
        ours |= _pair(theirs, f"{inner}.dense_2", f"{mine}.feed_forward.2")
        ours |= _pair(theirs, f"{inner}.LayerNorm", f"{mine}.feed_forward_norm")
    return ours


def _pair(theirs: Weights, name: str, ours: str) -> Weights:
    return {f"{ours}.{part}": theirs.pop(f"{name}.{part}") for part in ("weight", "bias")}
