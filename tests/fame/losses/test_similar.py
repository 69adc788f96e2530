"""Soft targets are those of the equation, and the items that get them those with the nearest texts."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from fame.config import TrainConfig
from fame.datasets.batches import Batcher, device_values
from fame.datasets.sequences import training_windows
from fame.errors import UserError
from fame.losses import similar
from fame.losses.objective import make_objective
from fame.losses.similar import SimilarItems, similar_items
from fame.models.sasrec import SASRec, SASRecConfig
from fame.text.start import ItemStart
from tests.fame.helpers import CPU, experiment


def text_vectors(items: int, width: int = 5) -> torch.Tensor:
    return torch.randn(items, width, generator=torch.Generator().manual_seed(0))


def one_by_one(table: torch.Tensor, known: torch.Tensor, nearest: int) -> torch.Tensor:
    """s as a matrix [V, V], from the equation: one item after the other, one cosine after the other."""
    rows = table.tolist()
    weights = torch.zeros(len(rows), len(rows))
    for v, own in enumerate(rows):
        if not known[v]:
            weights[v, v] = 1
            continue
        cosines = {
            u: sum(a * b for a, b in zip(own, other, strict=True)) / (math.hypot(*own) * math.hypot(*other))
            for u, other in enumerate(rows)
            if u != v and known[u]
        }
        best = sorted(cosines, key=lambda u: -cosines[u])[:nearest]
        total = sum(math.exp(cosines[u] / 0.1) for u in best)
        for u in best:
            weights[v, u] = math.exp(cosines[u] / 0.1) / total
    return weights


def as_matrix(found: SimilarItems) -> torch.Tensor:
    V = len(found.items_VK)
    return found.weights_VK.new_zeros(V, V).scatter_add_(1, found.items_VK - 1, found.weights_VK)


@pytest.mark.parametrize("items", [30, 7])
@pytest.mark.parametrize("tile", [1 << 24, 1, 100])
def test_similar_items_are_the_nearest_by_cosine(items, tile, monkeypatch):
    monkeypatch.setattr(similar, "SCORES", tile)
    known = torch.ones(items, dtype=torch.bool)
    known[2] = known[5] = False
    table = text_vectors(items) * known[:, None]
    found = similar_items(0.2, table, known)
    torch.testing.assert_close(as_matrix(found), one_by_one(table, known, 10))
    assert found.items_VK.shape == (items, min(10, items - 3))


@pytest.mark.parametrize("with_text", [0, 1])
def test_where_no_two_items_have_text_each_is_like_itself_alone(with_text):
    known = torch.arange(4) < with_text
    found = similar_items(0.2, text_vectors(4) * known[:, None], known)
    torch.testing.assert_close(as_matrix(found), torch.eye(4))


@pytest.mark.parametrize("mode", ["all", "prefix"])
@pytest.mark.parametrize("labels", [False, True])
@pytest.mark.parametrize("epsilon", [0.0, 0.1])
def test_the_loss_and_its_gradient_are_those_of_the_soft_targets(mode, labels, epsilon, tiny):
    torch.manual_seed(0)
    V = tiny.item_count
    settings = SASRecConfig(dim=8, inner=2, init_std=0.3, dropout=0.0, attention_dropout=0.0, labels=labels)
    model = SASRec(settings, V, 6).double()
    if labels:
        model.start_from_labels(np.arange(V)[:, None] % 3)
        model.double()
    batch = next(Batcher(device_values(tiny, CPU), training_windows(tiny, mode, 6)).epoch(8, np.random.default_rng(0)))
    found = similar_items(0.2, text_vectors(V).double(), torch.ones(V, dtype=torch.bool))
    objective = make_objective(TrainConfig(label_smoothing=epsilon, precision="float32"), tiny, CPU, found)
    targets = batch.targets_R - 1
    soft = (1 - epsilon - 0.2) * F.one_hot(targets, V) + epsilon / V + 0.2 * as_matrix(found)[targets]
    expected = F.cross_entropy(model.queries(batch) @ model.item_table().T, soft, reduction="sum")
    loss = model(batch, objective)
    torch.testing.assert_close(loss, expected, rtol=1e-5, atol=1e-5)
    weights = list(model.parameters())
    grads = torch.autograd.grad(expected, weights, allow_unused=True)
    for mine, right in zip(torch.autograd.grad(loss, weights, allow_unused=True), grads, strict=True):
        if right is None:
            assert mine is None
        else:
            torch.testing.assert_close(mine, right, rtol=1e-4, atol=1e-5)


def test_a_share_of_nothing_asks_for_no_similar_items():
    table = {"table_VD": text_vectors(4), "known_V": torch.ones(4, dtype=torch.bool)}
    assert ItemStart(experiment(text={"plain": True}).text, table).similar is None
    found = ItemStart(experiment(text={"plain": True, "smoothing": 0.3}).text, table).similar
    assert found is not None and found.share == 0.3


@pytest.mark.parametrize(
    ("train", "rule"),
    [
        ({"loss": "gbce"}, "is ignored by train.loss = gbce"),
        ({"label_smoothing": 0.7}, "must be below 1 − train.label_smoothing = 0.3"),
    ],
)
def test_soft_targets_that_the_loss_cannot_have_are_refused(train, rule):
    with pytest.raises(UserError, match=rf"text\.smoothing = 0\.3: {rule}"):
        experiment(text={"plain": True, "smoothing": 0.3}, train=train)
