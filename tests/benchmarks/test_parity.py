"""The comparison with RecBole: every weight has its place, and a difference is seen. (RecBole itself is not here.)"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.parity import CASES, DIM, ITEMS, LENGTH
from benchmarks.parity.__main__ import compare, ours
from benchmarks.parity.weights import copied
from tests.fame.helpers import random_rows

ROOT = Path(__file__).parents[2]


def pair(name: str, *shape: int) -> dict[str, torch.Tensor]:
    return {f"{name}.weight": torch.randn(shape).double(), f"{name}.bias": torch.randn(shape[0]).double()}


def transformer(before: str) -> dict[str, torch.Tensor]:
    """RecBole's names and shapes."""
    weights = {f"{before}position_embedding.weight": torch.randn(LENGTH, DIM).double()}
    weights |= pair(f"{before}LayerNorm", DIM)
    for block in range(2):
        layer = f"{before}trm_encoder.layer.{block}"
        for name in ("query", "key", "value", "dense"):
            weights |= pair(f"{layer}.multi_head_attention.{name}", DIM, DIM)
        weights |= pair(f"{layer}.multi_head_attention.LayerNorm", DIM) | pair(f"{layer}.feed_forward.LayerNorm", DIM)
        weights |= pair(f"{layer}.feed_forward.dense_1", 4 * DIM, DIM)
        weights |= pair(f"{layer}.feed_forward.dense_2", DIM, 4 * DIM)
    return weights


def recboles(name: str) -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    weights = {"item_embedding.weight": torch.randn(ITEMS + 1 + (name == "bert4rec"), DIM).double()}
    if name == "gru4rec":
        for layer, width in enumerate((DIM, 128)):
            weights[f"gru_layers.weight_ih_l{layer}"] = torch.randn(3 * 128, width).double()
            weights[f"gru_layers.weight_hh_l{layer}"] = torch.randn(3 * 128, 128).double()
        weights |= pair("dense", DIM, 128)
    if name in ("sasrec", "bert4rec"):
        weights |= transformer("")
    if name == "bert4rec":
        weights |= pair("output_ffn", DIM, DIM) | pair("output_ln", DIM)
        weights["output_bias"] = torch.zeros(ITEMS + 1).double()
    if name == "core":
        weights |= transformer("net.") | pair("net.fn", 1, DIM)
    return weights


@pytest.mark.parametrize("name", CASES)
def test_recboles_weights_are_all_of_ours(name):
    theirs = recboles(name)
    model = ours(name, copied(name, theirs))  # fails for a weight that is missing, left over, or of another shape
    assert torch.equal(model.items.weight[1 : ITEMS + 1], theirs["item_embedding.weight"][1 : ITEMS + 1])


def test_a_weight_without_a_place_is_an_error():
    with pytest.raises(ValueError, match=r"core_mean: no place for net\.fn\.weight, net\.fn\.bias"):
        copied("core_mean", recboles("core_mean") | pair("net.fn", 1, DIM))
    with pytest.raises(ValueError, match="output_bias is not zero"):
        copied("bert4rec", recboles("bert4rec") | {"output_bias": torch.ones(ITEMS + 1)})


def test_a_difference_is_seen():
    theirs = recboles("core_mean")
    model = ours("core_mean", copied("core_mean", theirs))
    items, lengths = random_rows(8, LENGTH - 1, ITEMS, seed=0)
    with torch.no_grad():
        scores = (model.encode(items, lengths) @ model.item_table().T).numpy()
    found = {f"weight.{key}": value.numpy() for key, value in theirs.items()}
    found |= {"items": items.numpy(), "lengths": lengths.numpy()}
    for error, reached in ((0.0, [None, True, True]), (2e-5, [None, False, True]), (1e-2, [None, False, False])):
        other = scores.copy()
        other[3, 7] += error
        rows = compare("core_mean", {**found, "scores64": other, "scores32": other.astype(np.float32)})
        assert [row.reached for row in rows] == reached


def test_it_explains_itself():
    command = [sys.executable, "-m", "benchmarks.parity", "--help"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and "usage: python -m benchmarks.parity" in done.stdout
