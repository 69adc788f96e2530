"""A training's lines about how it computes."""

from __future__ import annotations

import pytest

import fame.losses.softmax
import fame.training.kernels
from fame.config import TrainConfig
from fame.training.kernels import paths
from tests.fame.helpers import CPU


@pytest.mark.parametrize(
    ("settings", "faster", "expected"),
    [
        ({}, True, "exact softmax, bfloat16 products (this CPU multiplies bfloat16 faster), "),
        ({}, False, "exact softmax, float32 products (this CPU multiplies float32 as fast), "),
        ({"precision": "float32"}, True, "exact softmax, float32 products (train.precision), "),
        ({"precision": "bfloat16"}, True, "exact softmax, bfloat16 products (train.precision), "),
        (
            {"precision": "bfloat16"},
            False,
            "exact softmax, bfloat16 products (train.precision; this CPU multiplies float32 as fast), ",
        ),
        ({"loss": "gbce"}, True, "gbce, bfloat16 products (this CPU multiplies bfloat16 faster)"),
    ],
)
def test_the_loss_says_its_products_and_why(settings, faster, expected, monkeypatch):
    for module in (fame.losses.softmax, fame.training.kernels):
        monkeypatch.setattr(module, "multiplies_bfloat16_faster", lambda kind: faster)
    assert paths(TrainConfig(**settings), CPU)["loss"].startswith(expected)


def test_attention_says_that_it_is_not_fused_on_cpu():
    assert paths(TrainConfig(), CPU)["attention"].startswith("explicit weights")
