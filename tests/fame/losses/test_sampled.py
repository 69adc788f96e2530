"""The sampled losses against plain loops, and the proposal against what it promises on average."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F

from fame.losses.sampled import Proposal, bpr_max, gbce, gbce_beta, negative_scores, sampled_softmax, top1_max

ROWS, NEGATIVES, ITEMS, DIM = 6, 9, 12, 4


def problem(scale: float = 1.0, dtype=torch.float64):
    """Queries, table, targets and negatives; some negatives are a row's target, some come twice."""
    generator = torch.Generator().manual_seed(0)
    queries = (torch.randn(ROWS, DIM, generator=generator, dtype=torch.float64) * scale).to(dtype).requires_grad_()
    table = torch.randn(ITEMS, DIM, generator=generator, dtype=torch.float64).to(dtype).requires_grad_()
    targets = torch.randint(1, ITEMS + 1, (ROWS,), generator=generator)
    negatives = torch.randint(1, ITEMS + 1, (NEGATIVES,), generator=generator)
    assert (targets[:, None] == negatives).any() and len(negatives.unique()) < NEGATIVES
    return queries, table, targets, negatives


def scores_of(queries, table, targets, negatives, dtype=torch.float64):
    """The losses' input: scores of the targets and of the negatives."""
    positive = (queries * table[targets - 1]).sum(1)
    return positive, negative_scores(queries, table[negatives - 1], negatives, targets, dtype)


def proposal() -> Proposal:
    return Proposal(torch.arange(ITEMS), 0.7)


def naive_sampled_softmax(queries, table, targets, negatives, q):
    loss = torch.zeros((), dtype=torch.float64)
    for query, target in zip(queries, targets.tolist(), strict=True):
        z = torch.exp(query @ table[target - 1])
        for negative in negatives.tolist():
            if negative != target:
                z = z + torch.exp(query @ table[negative - 1]) / (len(negatives) * q[negative - 1])
        loss = loss + torch.log(z) - query @ table[target - 1]
    return loss


def naive_gbce(queries, table, targets, negatives, beta):
    loss = torch.zeros((), dtype=torch.float64)
    for query, target in zip(queries, targets.tolist(), strict=True):
        loss = loss - beta * torch.log(torch.sigmoid(query @ table[target - 1]))
        for negative in negatives.tolist():
            if negative != target:
                loss = loss - torch.log(1 - torch.sigmoid(query @ table[negative - 1]))
    return loss


def naive_max_loss(queries, table, targets, negatives, term):
    """Σ_r of what `term` makes of the target's score, the negatives' scores and their softmax."""
    loss = torch.zeros((), dtype=torch.float64)
    for query, target in zip(queries, targets.tolist(), strict=True):
        scores = [query @ table[negative - 1] for negative in negatives.tolist() if negative != target]
        total = sum(torch.exp(s) for s in scores)
        loss = loss + term(query @ table[target - 1], scores, [torch.exp(s) / total for s in scores])
    return loss


def bpr_max_term(positive, scores, weights):
    won = sum(w / (1 + torch.exp(s - positive)) for w, s in zip(weights, scores, strict=True))
    return -torch.log(won) + 0.7 * sum(w * s * s for w, s in zip(weights, scores, strict=True))


def top1_max_term(positive, scores, weights):
    terms = (1 / (1 + torch.exp(positive - s)) + 1 / (1 + torch.exp(-s * s)) for s in scores)
    return sum(w * term for w, term in zip(weights, terms, strict=True))


def assert_same_value_and_gradients(ours, naive, inputs) -> None:
    torch.testing.assert_close(ours, naive, rtol=1e-6, atol=1e-6)
    for got, want in zip(torch.autograd.grad(ours, inputs), torch.autograd.grad(naive, inputs), strict=True):
        torch.testing.assert_close(got, want, rtol=1e-6, atol=1e-6)


def test_sampled_softmax_is_that_of_the_loops():
    queries, table, targets, negatives = problem()
    drawn_by = proposal()
    log_expected = drawn_by.log_q(negatives) + math.log(NEGATIVES)
    ours = sampled_softmax(*scores_of(queries, table, targets, negatives), log_expected)
    naive = naive_sampled_softmax(queries, table, targets, negatives, drawn_by.log_q_V.double().exp())
    assert_same_value_and_gradients(ours, naive, (queries, table))


@pytest.mark.parametrize("t", [0.0, 0.4, 1.0])
def test_gbce_is_that_of_the_loops(t):
    queries, table, targets, negatives = problem()
    beta = gbce_beta(NEGATIVES, ITEMS, t)
    ours = gbce(*scores_of(queries, table, targets, negatives), beta)
    assert_same_value_and_gradients(ours, naive_gbce(queries, table, targets, negatives, beta), (queries, table))


@pytest.mark.parametrize(
    ("ours", "term"), [(lambda p, n: bpr_max(p, n, 0.7), bpr_max_term), (top1_max, top1_max_term)], ids=["bpr", "top1"]
)
def test_the_ranking_losses_are_those_of_the_loops(ours, term):
    queries, table, targets, negatives = problem()
    value = ours(*scores_of(queries, table, targets, negatives))
    assert_same_value_and_gradients(value, naive_max_loss(queries, table, targets, negatives, term), (queries, table))


@pytest.mark.parametrize("loss", [lambda p, n: bpr_max(p, n, 0.0), top1_max], ids=["bpr", "top1"])
def test_a_ranking_loss_falls_when_the_target_rises_and_when_the_highest_negative_falls(loss):
    negative = torch.tensor([[3.0, -1.0, float("-inf")]], requires_grad=True)
    positive = torch.tensor([1.0], requires_grad=True)
    loss(positive, negative).backward()
    assert positive.grad < 0 < negative.grad[0, 0]
    assert negative.grad[0, 2] == 0


def test_gbce_without_calibration_is_binary_cross_entropy():
    positive, negative = scores_of(*problem())
    expected = F.binary_cross_entropy_with_logits(positive, torch.ones_like(positive), reduction="sum")
    left = negative[negative.isfinite()]  # without what is a row's target
    expected += F.binary_cross_entropy_with_logits(left, torch.zeros_like(left), reduction="sum")
    torch.testing.assert_close(gbce(positive, negative, gbce_beta(NEGATIVES, ITEMS, 0.0)), expected)


@given(st.integers(1, 50), st.integers(2, 100), st.floats(0, 1))
def test_beta_is_the_papers(negatives, items, t):
    alpha = negatives / (items - 1)
    assert gbce_beta(negatives, items, t) == pytest.approx(alpha * (t * (1 - 1 / alpha) + 1 / alpha))


def test_gradcheck():
    queries, table, targets, negatives = problem()
    log_expected = torch.linspace(-1, 1, NEGATIVES, dtype=torch.float64)
    for loss, *extra in ((sampled_softmax, log_expected), (gbce, 0.3), (bpr_max, 0.5), (top1_max,)):
        assert torch.autograd.gradcheck(
            lambda z, e, loss=loss, extra=extra: loss(*scores_of(z, e, targets, negatives), *extra), (queries, table)
        )


LOSSES = {
    "sampled_softmax": lambda p, n: sampled_softmax(p, n, torch.zeros(())),
    "gbce": lambda p, n: gbce(p, n, 1.0),
    "bpr_max": lambda p, n: bpr_max(p, n, 1.0),
    "top1_max": top1_max,
}


@pytest.mark.parametrize("loss", LOSSES)
def test_large_scores_overflow_neither_the_loss_nor_its_gradient(loss):
    queries, table, targets, negatives = problem(scale=1e4, dtype=torch.float32)
    positive, negative = scores_of(queries, table, targets, negatives, torch.float32)
    value = LOSSES[loss](positive, negative)
    value.backward()
    assert value.isfinite() and queries.grad.isfinite().all() and table.grad.isfinite().all()


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
def test_a_row_whose_negatives_are_all_its_target_and_a_step_without_rows_have_a_gradient(loss):
    table = torch.randn(2, 3, requires_grad=True)
    for rows in (1, 0):
        queries = torch.randn(rows, 3, requires_grad=True)
        targets = torch.ones(rows, dtype=torch.long)
        value = loss(*scores_of(queries, table, targets, torch.ones(4, dtype=torch.long), torch.float32))
        value.backward()
        assert value.isfinite() and queries.grad.isfinite().all() and table.grad.isfinite().all()


# ---- The proposal.


def test_items_are_drawn_as_often_as_the_power_of_their_count_says():
    counts, generator = torch.tensor([1, 4, 16, 64, 0]), torch.Generator().manual_seed(0)
    for power in (0.0, 0.5, 1.0):
        drawn_by = Proposal(counts, power)
        expected = counts.clamp(min=1).double() ** power
        torch.testing.assert_close(drawn_by.log_q(torch.arange(1, 6)).exp().double(), expected / expected.sum())
        found = torch.bincount(drawn_by.draw(100_000, generator), minlength=6) / 100_000
        assert found[0] == 0
        torch.testing.assert_close(found[1:].double(), expected / expected.sum(), rtol=0, atol=0.006)  # 3.8 σ


def test_draws_depend_on_the_generator_alone():
    drawn = [proposal().draw(50, torch.Generator().manual_seed(seed)) for seed in (3, 3, 4)]
    assert torch.equal(drawn[0], drawn[1]) and not torch.equal(drawn[0], drawn[2])


def test_the_edges_of_the_uniform_numbers_are_items(monkeypatch):
    edges = torch.tensor([0.0, 1 - 2**-53], dtype=torch.float64)
    monkeypatch.setattr(torch, "rand", lambda *args, **kwargs: edges)
    assert proposal().draw(2, torch.Generator()).tolist() == [1, ITEMS]


@pytest.mark.parametrize("power", [0.0, 0.5, 1.0])
def test_the_sampled_normaliser_is_the_exact_one_on_average_for_every_row(power):
    queries, table, targets, _ = problem()
    scores = (queries @ table.T).detach()
    drawn_by, repeats, size = Proposal(torch.arange(ITEMS), power), 4000, 5
    drawn = drawn_by.draw(repeats * size, torch.Generator().manual_seed(1)).view(repeats, 1, size)
    negative = scores.expand(repeats, ROWS, ITEMS).gather(2, (drawn - 1).expand(repeats, ROWS, size))
    negative = negative.masked_fill(targets[:, None] == drawn, float("-inf")).flatten(0, 1)
    positive = scores.gather(1, targets[:, None] - 1)[:, 0].repeat(repeats).requires_grad_()
    log_expected = (drawn_by.log_q(drawn) + math.log(size)).expand(repeats, ROWS, size).flatten(0, 1)
    sampled_softmax(positive, negative, log_expected).backward()
    # The gradient of the target's score is exp(score) / Z − 1.
    z = (positive.detach().exp() / (1 + positive.grad)).view(repeats, ROWS)
    deviation = z.std(0) / math.sqrt(repeats)
    assert ((z.mean(0) - scores.exp().sum(1)).abs() <= 4 * deviation).all()
    assert (deviation < 0.05 * z.mean(0)).all(), "too coarse to see a bias"
