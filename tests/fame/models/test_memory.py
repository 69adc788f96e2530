"""The memory facet against sums in loops over users, pairs and items."""

from __future__ import annotations

import math
from collections import defaultdict

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from fame.config import TrainConfig
from fame.datasets.batches import Batcher, device_values
from fame.datasets.sequences import training_windows
from fame.errors import UserError
from fame.losses.softmax import SparseScores, linear_cross_entropy
from fame.models.base import EpochStart
from fame.models.memory import (
    WINDOW,
    FameMemory,
    FameMemoryConfig,
    SASRecMemory,
    SASRecMemoryConfig,
)
from fame.runtime.parallel import Workers
from fame.serving.explanation import explain
from tests.fame.helpers import CPU, cyclic_sequences, random_rows
from tests.fame.test_explain import recommender

SIZE = {"dim": 8, "blocks": 1, "inner": 2, "dropout": 0.0, "attention_dropout": 0.0}
LENGTH = 6


def counts(sequences, without: int | None = None) -> dict[tuple[int, int], float]:
    """C[u, v] over the training parts; `without` leaves a user out."""
    found: dict[tuple[int, int], float] = defaultdict(float)
    for user in range(len(sequences)):
        items = sequences[user][:-2].tolist()
        for i, u in enumerate(items if user != without else []):
            for d in range(1, WINDOW + 1):
                if i + d < len(items):
                    found[u, items[i + d]] += 1 / d
    return found


@pytest.fixture(scope="module")
def sequences():
    return cyclic_sequences(users=20, item_count=13, longest=9, seed=1)


def made(sequences, model_class=FameMemory, config_class=FameMemoryConfig, mode: str = "all", **settings):
    """A model that has looked at the training data, and its batcher."""
    torch.manual_seed(0)
    model = model_class(config_class(**SIZE, **settings), sequences.item_count, LENGTH)
    batcher = Batcher(device_values(sequences, CPU), training_windows(sequences, mode, LENGTH))
    epoch = EpochStart(
        index=0, sequences=sequences, batcher=batcher, generator=np.random.default_rng(0), workers=Workers(device=CPU)
    )
    model.start_epoch(epoch)
    return model, batcher


@torch.no_grad()
def test_scores_are_the_dot_product_and_the_weighted_rows_of_the_newest_items(sequences):
    model, _ = made(sequences, memory_places=3, memory_weights="gated")
    model.eval()
    table, C = model.item_table(), counts(sequences)
    items, lengths = random_rows(5, LENGTH, sequences.item_count, seed=2)
    queries = model.encode(items, lengths)
    found = model.scorer().scores(queries)
    for b, length in enumerate(lengths.tolist()):
        z, amounts = queries[b, :8], queries[b, 8:11]
        for v in range(sequences.item_count):
            expected = float(z @ table[v])
            for k in range(min(3, length)):
                u = int(items[b, length - 1 - k])
                expected += float(amounts[k]) * math.log1p(C[u, v + 1])
            assert float(found[b, v]) == pytest.approx(expected, rel=1e-5, abs=1e-5)


@torch.no_grad()
def test_a_score_does_not_depend_on_which_others_are_asked_for(sequences):
    model, _ = made(sequences)
    queries, scorer = model.eval().encode(*random_rows(5, LENGTH, sequences.item_count, seed=3)), model.scorer()
    whole = scorer.scores(queries)
    for items in (slice(3, 9), slice(12, 13), torch.tensor([7, 7, 0, 12])):
        torch.testing.assert_close(scorer.scores(queries, items), whole[:, items])
    assert scorer.finite(queries).all() and not scorer.finite(queries * float("nan")).any()


@pytest.mark.parametrize("mode", ["all", "prefix"])
@torch.no_grad()
def test_in_training_a_row_does_not_see_what_it_has_brought_into_the_table(sequences, mode):
    """Where no two positions of a user share a pair, that is the table without the position's own pairs."""
    model, batcher = made(sequences, SASRecMemory, SASRecMemoryConfig, mode=mode)
    model.train()
    C = counts(sequences)
    batch = next(batcher.epoch(64, mode == "prefix", np.random.default_rng(0)))
    z = model.queries(batch)
    added = model._added(batch, z)
    dense = torch.zeros(len(z), sequences.item_count).index_put_(
        (added.row_E, added.item_E), added.value_E, accumulate=True
    )
    row = 0
    for b, length in enumerate(batch.lengths_B.tolist()):
        window = batch.windows[b]
        start, size = int(batcher.windows.starts[window]), int(batcher.windows.lengths[window])
        assert size == length
        user = int(np.searchsorted(sequences.offsets, start, side="right") - 1)
        end = int(sequences.offsets[user + 1]) - 2
        for t in [length - 1] if mode == "prefix" else range(length):
            expected = torch.zeros(sequences.item_count)
            for k in range(min(5, t + 1)):
                at = start + t - k
                u = int(sequences.values[at])
                own = {at + d: 1 / d for d in range(1, WINDOW + 1) if at + d < end}
                changes: dict[int, float] = defaultdict(float)
                for place, count in own.items():
                    v = int(sequences.values[place])
                    changes[v] += math.log1p(max(C[u, v] - count, 0)) - math.log1p(C[u, v])
                for v in range(1, sequences.item_count + 1):
                    expected[v - 1] += 1.5 / (k + 1) * (math.log1p(C[u, v]) + changes[v])
            torch.testing.assert_close(dense[row], expected, rtol=1e-4, atol=1e-4)
            row += 1
    assert row == len(z)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("padding", [0, 1])
def test_the_loss_and_its_gradients_are_those_of_dense_scores(smoothing, padding):
    generator = torch.Generator().manual_seed(0)
    R, V, D, E = 40, 15, 4, 90
    rows = torch.randn(R, D, generator=generator, dtype=torch.float64, requires_grad=True)
    table = torch.randn(V + padding, D, generator=generator, dtype=torch.float64, requires_grad=True)
    targets = torch.randint(padding, V + padding, (R,), generator=generator)
    row_E = torch.randint(0, R, (E,), generator=generator).sort().values
    item_E = torch.randint(0, V, (E,), generator=generator)
    value_E = torch.randn(E, generator=generator, dtype=torch.float64, requires_grad=True)
    added = SparseScores(row_E=row_E, item_E=item_E, value_E=value_E)
    ours = linear_cross_entropy(rows, table, targets, torch.float64, padding, smoothing, added)
    dense = (rows @ table[padding:].T).index_put((row_E, item_E), value_E, accumulate=True)
    expected = F.cross_entropy(dense, targets - padding, reduction="sum", label_smoothing=smoothing)
    torch.testing.assert_close(ours, expected)
    weights = (rows, table, value_E)
    for got, want in zip(torch.autograd.grad(ours, weights), torch.autograd.grad(expected, weights), strict=True):
        torch.testing.assert_close(got, want)


def test_what_the_data_decide_is_in_the_state_and_comes_back(sequences):
    model, _ = made(sequences)
    again = FameMemory(model.config, sequences.item_count, LENGTH)
    again.load_state_dict(model.state_dict())
    assert torch.equal(again.items_E, model.items_E) and len(model.items_E)


@torch.no_grad()
def test_the_memory_is_a_facet_of_the_explanation(sequences):
    model, _ = made(sequences)
    found = explain(recommender(model.double().eval(), data={"max_length": LENGTH}), [3, 1, 4], 5)
    assert [facet.name for facet in found.facets] == ["facet 1", "facet 2", "memory"]
    for item, parts in zip(found.items, found.parts, strict=True):
        assert sum(parts) == pytest.approx(item.score)
    assert found.facets[-1].experts[0].attention == pytest.approx([2 / 11, 3 / 11, 6 / 11])  # 1/3, 1/2, 1 of 11/6


def test_a_memory_that_joins_after_training_leaves_the_loss_as_it_is(sequences):
    losses = {}
    for weights in ("after", "fixed"):
        model, batcher = made(sequences, memory_weights=weights)
        batch = next(batcher.epoch(64, False, np.random.default_rng(0)))
        losses[weights] = model(batch, Softmax("float32"))
        plain = Softmax("float32")(model, model.queries(batch), batch.targets_R)
        assert torch.equal(losses[weights], plain) == (weights == "after")
    assert losses["after"] != losses["fixed"]


def test_other_losses_have_no_memory():
    with pytest.raises(UserError, match=r"train.loss = 'gbce': has no memory facet; use softmax"):
        FameMemoryConfig().check_training(TrainConfig(loss="gbce"))
    with pytest.raises(UserError, match="memory_places = 0"):
        SASRecMemoryConfig(memory_places=0)
