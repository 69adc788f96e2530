"""Dropout against its definition."""

from __future__ import annotations

import math

import pytest
import torch

from fame.models.layers.dropout import LEVELS, Dropout, keep_mask

N = 1 << 20


@pytest.mark.parametrize("p", [1e-9, 0.1, 0.5, 0.9, 1 - 1e-9])
def test_elements_are_kept_with_their_probability_and_scaled_by_its_inverse(p):
    torch.manual_seed(0)
    mask = keep_mask(torch.empty(N), p)
    kept = max(1, round((1 - p) * LEVELS)) / LEVELS
    assert kept == pytest.approx(1 - p, abs=1 / LEVELS)
    assert set(mask.unique().tolist()) <= {0.0, torch.tensor(1 / kept).item()}
    count = int((mask > 0).sum())
    assert abs(count - N * kept) <= 5 * math.sqrt(N * kept * (1 - kept)) + 1e-9


def test_neighbours_that_share_a_random_word_are_independent():
    torch.manual_seed(0)
    kept = (keep_mask(torch.empty(N), 0.5) > 0).view(-1, 4)
    patterns = (kept * torch.tensor([1, 2, 4, 8])).sum(1).bincount(minlength=16)
    expected = N / 4 / 16
    assert ((patterns - expected).abs() <= 5 * math.sqrt(expected)).all()


@pytest.mark.parametrize("shape", [(), (1,), (3,), (2, 3, 5), (0, 4)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_any_shape_and_dtype_and_the_gradient_is_the_mask(shape, dtype):
    x = torch.ones(shape, dtype=dtype, requires_grad=True)
    out = Dropout(0.5)(x)
    assert out.shape == x.shape and out.dtype == dtype
    out.sum().backward()
    assert torch.equal(x.grad, out.detach())


def test_a_transposed_input_is_dropped_as_any_other():
    x = torch.ones(64, 32).T
    out = Dropout(0.5)(x)
    assert out.shape == (32, 64) and set(out.unique().tolist()) == {0.0, 2.0}


def test_nothing_is_dropped_in_evaluation_or_without_a_probability():
    x = torch.randn(50)
    assert Dropout(0.0)(x) is x
    assert Dropout(0.5).eval()(x) is x


def test_the_seed_decides():
    draws = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        draws.append(Dropout(0.5)(torch.ones(100)))
    assert torch.equal(draws[0], draws[1]) and not torch.equal(draws[0], draws[2])
