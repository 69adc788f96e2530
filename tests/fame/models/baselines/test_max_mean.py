"""The cross entropy of maxima, and their scores, against autograd on all logits."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

import fame.models.baselines.max_mean
from fame.models.baselines.max_mean import MaxMeanScorer, max_mean_cross_entropy

I, V, D = 4, 23, 3  # noqa: E741


def problem(rows: int) -> tuple[Tensor, Tensor, Tensor]:
    """Queries of 1 to I vectors, the first one again where there are fewer; the last one is the mean."""
    generator = torch.Generator().manual_seed(rows)
    vectors = torch.randn(rows, I + 1, D, generator=generator).double()
    counts = torch.randint(1, I + 1, (rows,), generator=generator)
    missing = torch.arange(I) >= counts[:, None]
    vectors[:, :I] = torch.where(missing[..., None], vectors[:, :1], vectors[:, :I])
    table = torch.randn(V, D, generator=generator).double()
    return vectors.requires_grad_(), table.requires_grad_(), torch.randint(V, (rows,), generator=generator)


def scores(vectors: Tensor, table: Tensor) -> Tensor:
    products = vectors @ table.T
    return products[:, :-1].amax(1) + products[:, -1]


@pytest.mark.parametrize("rows", [0, 1, 6, 7, 40])
def test_value_and_gradients_are_autograds_at_every_chunk_boundary(rows, monkeypatch):
    monkeypatch.setattr(fame.models.baselines.max_mean, "chunk_bytes", lambda device: 0)  # chunks of 2 · D rows
    vectors, table, targets = problem(rows)
    loss = 3 * max_mean_cross_entropy(vectors.flatten(1), table, targets, torch.float64)
    expected = 3 * F.cross_entropy(scores(vectors, table), targets, reduction="sum")
    torch.testing.assert_close(loss, expected)
    got, want = (torch.autograd.grad(one, [vectors, table]) for one in (loss, expected))
    torch.testing.assert_close(got[1], want[1], rtol=1e-10, atol=1e-12)
    # What is the same vector shares a gradient, in whichever place it is.
    same = (vectors[:, :I, None] == vectors[:, None, :I]).all(3).double()
    torch.testing.assert_close(same @ got[0][:, :I], same @ want[0][:, :I], rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(got[0][:, I], want[0][:, I], rtol=1e-10, atol=1e-12)


def test_bfloat16_products_are_close_and_so_are_their_gradients():
    vectors, table, targets = problem(50)
    parts = [part.detach().float().requires_grad_() for part in (vectors, table)]
    exact, found = (
        max_mean_cross_entropy(parts[0].flatten(1), parts[1], targets, dtype)
        for dtype in (torch.float32, torch.bfloat16)
    )
    torch.testing.assert_close(found, exact, rtol=0.01, atol=0)
    assert found != exact
    for got, want in zip(*(torch.autograd.grad(one, parts) for one in (found, exact)), strict=True):
        assert (got - want).norm() < 0.03 * want.norm()


def test_scores_of_a_stretch_are_those_among_all():
    vectors, table, _ = (part.detach() for part in problem(5))
    queries, scorer, expected = vectors.flatten(1), MaxMeanScorer(table), scores(vectors, table)
    assert scorer.item_count == V
    torch.testing.assert_close(scorer.scores(queries), expected)
    torch.testing.assert_close(scorer.scores(queries, slice(3, 9)), expected[:, 3:9])
    torch.testing.assert_close(scorer.scores(queries[:2], torch.tensor([8, 1])), expected[:2, [8, 1]])
