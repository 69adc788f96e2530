"""α-entmax against what it maximises, and against the known algorithm for sparsemax."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from fame.models.baselines.entmax import entmax

ALPHAS = [1.1, 1.5, 1.8, 2.0]


def votes(rows: int = 20, width: int = 7, scale: float = 2.0) -> Tensor:
    return scale * torch.randn(rows, width, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def sparsemax(z: Tensor) -> Tensor:
    """Projection onto the simplex, by sorting."""
    ordered = z.sort(-1, descending=True).values
    count = torch.arange(1, z.shape[-1] + 1)
    sums = ordered.cumsum(-1)
    size = (1 + count * ordered > sums).sum(-1, keepdim=True)
    return (z - (sums.gather(-1, size - 1) - 1) / size).clamp(min=0)


def value(p: Tensor, z: Tensor, alpha: float) -> Tensor:
    """p·z + H_α(p), with Tsallis' entropy H_α(p) = Σ (p − p^α) / (α (α − 1))."""
    return (p * z).sum(-1) + (p - p**alpha).sum(-1) / (alpha * (alpha - 1))


def test_alpha_2_is_sparsemax():
    z = votes()
    torch.testing.assert_close(entmax(z, 2.0), sparsemax(z), rtol=0, atol=1e-12)


@pytest.mark.parametrize("alpha", ALPHAS)
def test_no_other_weights_have_a_higher_value(alpha):
    z = votes()
    weights = entmax(z, alpha)
    torch.testing.assert_close(weights.sum(-1), torch.ones(len(z), dtype=torch.float64))
    others = torch.distributions.Dirichlet(torch.ones(z.shape[-1], dtype=torch.float64)).sample((2000,))
    for step in (1.0, 0.1, 0.01):  # far away, and close by
        moved = weights[:, None] + step * (others - weights[:, None])
        assert (value(moved, z[:, None], alpha) <= value(weights, z, alpha)[:, None] + 1e-12).all()


@pytest.mark.parametrize("alpha", ALPHAS)
def test_gradient(alpha):
    assert torch.autograd.gradcheck(lambda z: entmax(z, alpha), votes().requires_grad_())


def test_the_larger_alpha_the_fewer_are_chosen_and_close_to_1_it_is_softmax():
    z = votes(scale=0.5)
    counts = [int((entmax(z, alpha) > 0).sum()) for alpha in ALPHAS]
    assert counts[0] == z.numel() and counts == sorted(counts, reverse=True) and counts[-1] < counts[0]
    torch.testing.assert_close(entmax(z, 1.001), z.softmax(-1), rtol=0, atol=2e-3)


@pytest.mark.parametrize("alpha", ALPHAS)
def test_a_vote_of_minus_infinity_has_no_weight_and_no_gradient(alpha):
    z = torch.tensor([[0.3, -torch.inf, 0.1], [-torch.inf, -torch.inf, 2.0]], dtype=torch.float64, requires_grad=True)
    weights = entmax(z, alpha)
    torch.testing.assert_close(weights[0, [0, 2]], entmax(z[0, [0, 2]], alpha))
    torch.testing.assert_close(weights[1], torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64))
    (grad,) = torch.autograd.grad(weights.square().sum(), z)
    assert torch.isfinite(grad).all() and not grad[z.isneginf()].any()


def test_votes_far_apart_and_all_equal():
    far = torch.tensor([1e6, 0.0, -1e6])
    assert entmax(far, 1.5).tolist() == [1, 0, 0]
    torch.testing.assert_close(entmax(torch.full((5,), -3.0), 1.5), torch.full((5,), 0.2))
