"""Chooses, for a device, among several ways to compute the same, and says why."""

from __future__ import annotations

import torch

from fame.config import TrainConfig
from fame.losses.softmax import multiplies_bfloat16_faster, product_dtype
from fame.runtime.hardware import chunk_bytes


def paths(train: TrainConfig, device: torch.device) -> dict[str, str]:
    """A line for each part of a step that has more than one path."""
    return {"loss": _loss(train, device), "attention": _attention(device)}


def _loss(train: TrainConfig, device: torch.device) -> str:
    dtype = str(product_dtype(train.precision, device)).removeprefix("torch.")
    faster = multiplies_bfloat16_faster(device.type)
    why = f"this {_kind(device)} {'multiplies bfloat16 faster' if faster else 'multiplies float32 as fast'}"
    if train.precision != "auto":
        # A configuration that was exported on another machine names what was fastest there.
        slower = train.precision == "bfloat16" and not faster
        why = f"train.precision; {why}" if slower else "train.precision"
    if train.loss != "softmax":
        return f"{train.loss}, {dtype} products ({why})"
    chunk = chunk_bytes(device) / 2**20
    return f"exact softmax, {dtype} products ({why}), {chunk:,.0f} MiB of logits at a time"


def _attention(device: torch.device) -> str:
    if device.type == "cuda":
        return "scaled_dot_product_attention, by the kernel that torch chooses"
    return "explicit weights (no fused kernel here learns a bias)"


def _kind(device: torch.device) -> str:
    return "GPU" if device.type == "cuda" else "CPU"
