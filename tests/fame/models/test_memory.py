"""The memory facet against sums in loops over users, pairs and items."""

from __future__ import annotations

import math
from collections import defaultdict

import numpy as np
import pytest
import torch

from fame.datasets.batches import Batcher, device_values
from fame.datasets.sequences import training_windows
from fame.errors import UserError
from fame.losses.objective import Softmax
from fame.models.base import EpochStart
from fame.models.memory import (
    PLACES,
    TABLE,
    WINDOW,
    FameMemory,
    FameMemoryConfig,
    SASRecMemory,
    SASRecMemoryConfig,
)
from fame.models.sasrec import SASRec, SASRecConfig
from fame.runtime.parallel import Workers
from fame.serving.explanation import explain
from tests.fame.helpers import CPU, cyclic_sequences, random_rows
from tests.fame.serving.explained import recommender

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
    model, _ = made(sequences, memory=1.5)
    model.eval()
    table, C = model.item_table(), counts(sequences)
    items, lengths = random_rows(5, LENGTH, sequences.item_count, seed=2)
    queries = model.encode(items, lengths)
    found = model.scorer().scores(queries)
    for b, length in enumerate(lengths.tolist()):
        z = queries[b, :8]
        for v in range(sequences.item_count):
            expected = float(z @ table[v])
            for k in range(min(PLACES, length)):
                u = int(items[b, length - 1 - k])
                expected += 1.5 / (k + 1) * math.log1p(C[u, v + 1])
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
def test_training_does_not_know_the_memory(sequences, mode):
    model, batcher = made(sequences, SASRecMemory, SASRecMemoryConfig, mode=mode)
    plain = SASRec(SASRecConfig(**SIZE), sequences.item_count, LENGTH)
    plain.load_state_dict({key: value for key, value in model.state_dict().items() if key not in TABLE})
    batch = next(batcher.epoch(64, np.random.default_rng(0)))
    assert torch.equal(model(batch, Softmax("float32")), plain(batch, Softmax("float32")))


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


@torch.no_grad()
def test_a_memory_of_nothing_is_the_model_alone_and_counts_nothing(sequences):
    model, _ = made(sequences, SASRecMemory, SASRecMemoryConfig, memory=0)
    assert not len(model.items_E)
    plain = SASRec(SASRecConfig(**SIZE), sequences.item_count, LENGTH).eval()
    plain.load_state_dict({key: value for key, value in model.state_dict().items() if key not in TABLE})
    rows = random_rows(5, LENGTH, sequences.item_count, seed=3)
    queries, expected = model.eval().encode(*rows), plain.scorer().scores(plain.encode(*rows))
    for items in (slice(None), slice(3, 9), torch.tensor([7, 7, 0, 12])):
        torch.testing.assert_close(model.scorer().scores(queries, items), expected[:, items])


def test_a_negative_memory_is_refused():
    with pytest.raises(UserError, match=r"model\.memory = -1: must be at least 0"):
        SASRecMemoryConfig(memory=-1)


def test_an_item_keeps_its_most_frequent_followers(sequences, monkeypatch):
    monkeypatch.setattr("fame.models.memory.FOLLOWERS", 3)
    model, _ = made(sequences)
    C = counts(sequences)
    for u in range(1, sequences.item_count + 1):
        followers = sorted((v for first, v in C if first == u), key=lambda v: (-np.float32(C[u, v]), v))[:3]
        place = slice(*model.offsets_V1[u - 1 : u + 1].tolist())
        assert model.items_E[place].tolist() == [v - 1 for v in sorted(followers)]
        expected = [math.log1p(C[u, v]) for v in sorted(followers)]
        assert model.values_E[place].tolist() == pytest.approx(expected, rel=1e-5)
