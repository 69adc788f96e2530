"""The mixture's cross entropy and scores against autograd on all logits."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

import fame.models.baselines.mixture
from fame.losses.softmax import linear_cross_entropy
from fame.models.baselines.mixture import MixtureScorer, mixture_cross_entropy

K, V, D = 3, 19, 4


def problem(rows: int, softmaxes: int = K) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(rows)
    z, table = (torch.randn(*size, generator=generator).double() for size in ((rows, softmaxes, D), (V, D)))
    log_a = torch.randn(rows, softmaxes, generator=generator).double().log_softmax(1)
    targets = torch.randint(V, (rows,), generator=generator)
    return z.requires_grad_(), log_a.requires_grad_(), table.requires_grad_(), targets


def log_p(z: Tensor, log_a: Tensor, table: Tensor) -> Tensor:
    return ((z @ table.T).softmax(2) * log_a.exp()[..., None]).sum(1).log()


@pytest.mark.parametrize("rows", [0, 1, 2, 5, 40])
def test_value_and_gradients_are_autograds_at_every_chunk_boundary(rows, monkeypatch):
    monkeypatch.setattr(fame.models.baselines.mixture, "chunk_bytes", lambda device: 0)  # chunks of 2 · D / K = 2 rows
    *parts, targets = problem(rows)
    loss = 3 * mixture_cross_entropy(*parts, targets, torch.float64)
    expected = 3 * F.nll_loss(log_p(*parts), targets, reduction="sum")
    torch.testing.assert_close(loss, expected)
    for got, want in zip(*(torch.autograd.grad(one, parts) for one in (loss, expected)), strict=True):
        torch.testing.assert_close(got, want, rtol=1e-10, atol=1e-12)


def test_one_softmax_is_the_linear_cross_entropy():
    z, _, table, targets = problem(30, softmaxes=1)
    found = mixture_cross_entropy(z, torch.zeros(30, 1).double(), table, targets, torch.float64)
    expected = linear_cross_entropy(z[:, 0], table, targets, torch.float64)
    for got, want in zip(*(torch.autograd.grad(one, [z, table]) for one in (found, expected)), strict=True):
        torch.testing.assert_close(got, want)


def test_a_softmax_without_weight_has_no_gradient():
    z, log_a, table, targets = problem(6)
    log_a = log_a.detach().masked_fill(torch.tensor([False, True, False]), -1e4)
    loss = mixture_cross_entropy(z, log_a, table, targets, torch.float64)
    (grad,) = torch.autograd.grad(loss, [z])
    assert not grad[:, 1].any() and grad[:, 0].any()


def test_bfloat16_products_are_close():
    z, log_a, table, targets = (part.detach().float() if part.is_floating_point() else part for part in problem(50))
    exact = mixture_cross_entropy(z, log_a, table, targets, torch.float32)
    torch.testing.assert_close(
        mixture_cross_entropy(z, log_a, table, targets, torch.bfloat16), exact, rtol=0.01, atol=0
    )


def test_scores_of_a_stretch_are_those_among_all_and_other_queries_are_normed_anew():
    z, log_a, table, _ = (part.detach() for part in problem(7))
    queries, scorer = torch.cat([z.flatten(1), log_a], 1), MixtureScorer(table, K)
    expected = log_p(z, log_a, table)
    torch.testing.assert_close(scorer.scores(queries), expected)
    torch.testing.assert_close(scorer.scores(queries, slice(3, 9)), expected[:, 3:9])
    fewer = queries[2:4]
    torch.testing.assert_close(scorer.scores(fewer, torch.tensor([5, 0])), expected[2:4][:, [5, 0]])
    torch.testing.assert_close(scorer.scores(queries, torch.tensor([1])), expected[:, [1]])
    assert scorer.finite(queries).all()
