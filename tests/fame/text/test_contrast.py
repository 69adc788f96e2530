"""The loss is SupCon for single labels and the formula for sets; every anchor has positives."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from torch.nn.functional import normalize

from fame.text.contrast import PairedBatches, contrastive_loss, overlap, plain_batches, two_views
from fame.text.facets import read_facet


def projections(count: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return normalize(torch.randn(count, 5, generator=generator, dtype=torch.float64), dim=1).requires_grad_()


@pytest.mark.parametrize("temperature", [0.07, 0.5])
def test_single_labels_are_an_independent_supcon(temperature):
    losses = pytest.importorskip("pytorch_metric_learning.losses")
    labels = torch.tensor([0, 1, 2, 0, 1, 0, 3, 2, 1])  # 3 has no positive
    ours, theirs = ((projections(9).detach() * torch.arange(1, 10)[:, None]).requires_grad_() for _ in range(2))
    loss = contrastive_loss(normalize(ours, dim=1), (labels[:, None] == labels).double(), temperature)
    expected = losses.SupConLoss(temperature=temperature)(theirs, labels)
    torch.testing.assert_close(loss, expected)
    loss.backward()
    expected.backward()
    torch.testing.assert_close(ours.grad, theirs.grad)


def naive(z: torch.Tensor, sets: list[set[str]], temperature: float) -> float:
    """The formula in loops."""
    terms = []
    for i in range(len(z)):
        others = [a for a in range(len(z)) if a != i]
        weights = {p: len(sets[i] & sets[p]) / max(1, len(sets[i] | sets[p])) for p in others}
        below = sum(math.exp(float(z[i] @ z[a]) / temperature) for a in others)
        if sum(weights.values()) > 0:
            logs = {p: math.log(math.exp(float(z[i] @ z[p]) / temperature) / below) for p in others}
            terms.append(-sum(weights[p] * logs[p] for p in others) / sum(weights.values()))
    return sum(terms) / len(terms)


@pytest.mark.parametrize("seed", range(5))
def test_sets_are_the_formula_in_loops(seed):
    random = np.random.default_rng(seed)
    sets = [{str(label) for label in random.integers(4, size=random.integers(1, 4))} for _ in range(12)]
    facet = read_facet("f", {"f": ["|".join(sorted(labels)) for labels in sets]}, rare=2)
    items = random.permutation(12)[:8]
    kept = [{facet.names[label] for label in facet.labels[facet.offsets[i] : facet.offsets[i + 1]]} for i in items]
    z = projections(8, seed).detach()
    found = contrastive_loss(z, overlap(facet, items).double(), 0.2)
    assert float(found) == pytest.approx(naive(z, kept, 0.2), rel=1e-6)


def test_gradients_of_sets_are_those_of_differences():
    facet = read_facet("f", {"f": ["a|b", "a", "b", "c", "c|a", "d|c", "d"]}, rare=2)
    weights = overlap(facet, np.arange(7)).double()
    assert torch.autograd.gradcheck(lambda z: contrastive_loss(z, weights, 0.3), projections(7))


def test_a_batch_without_positives_for_some_has_finite_gradients():
    z = projections(4)
    weights = torch.zeros(4, 4, dtype=torch.float64)
    weights[0, 1] = 1
    contrastive_loss(z, weights, 0.1).backward()
    assert torch.isfinite(z.grad).all()


def test_two_views_of_an_item_are_positives_of_each_other():
    weights = two_views(3)
    positives = weights - torch.eye(6)
    assert positives.sum(1).tolist() == [1] * 6
    assert positives[0, 3] == positives[4, 1] == 1


@pytest.mark.parametrize("texts", [["a", "b"] * 20 + ["", "c"], ["a|b", "b|c", "c", "a|c|d", "d", ""] * 5])
def test_every_anchor_of_a_batch_has_positives_and_every_item_is_an_anchor(texts):
    facet = read_facet("f", {"f": texts}, rare=2)
    batches = PairedBatches(facet, 8)
    labelled = set(np.flatnonzero(facet.counts).tolist())
    steps = -(-len(labelled) // 4)
    drawn = batches.draw(np.random.default_rng(0))
    for _ in range(3):
        epoch = list(itertools.islice(drawn, steps))
        assert {int(item) for batch in epoch for item in batch} == labelled
        for batch in epoch:
            assert len(set(batch.tolist())) == len(batch) <= 8
            weights = overlap(facet, batch).fill_diagonal_(0)
            assert (weights.sum(1) > 0).all()


def test_partners_are_drawn_from_all_that_share_a_label():
    facet = read_facet("f", {"f": ["a", "a", "a", "a", "b", "b"]}, rare=2)
    batches, random = PairedBatches(facet, 2), np.random.default_rng(0)
    drawn = [int(batches._partners(np.array([1]), random)[0]) for _ in range(300)]
    assert set(drawn) == {0, 2, 3}
    assert min(drawn.count(item) for item in (0, 2, 3)) > 60


def test_plain_batches_have_every_item_once_an_epoch():
    batches = list(itertools.islice(plain_batches(np.arange(7), 3, np.random.default_rng(0)), 6))
    for epoch in (batches[:3], batches[3:]):
        assert sorted(np.concatenate(epoch).tolist()) == list(range(7))
