"""Methods that a model may override: losses, the start of an epoch, the score; and models without weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from fame.config import BackboneConfig, EvaluateConfig, ModelConfig
from fame.config.tree import experiment_from_dict
from fame.datasets.batches import Batcher, device_values
from fame.datasets.sequences import train_counts, training_windows
from fame.evaluation.evaluator import Evaluator
from fame.losses.objective import Objective
from fame.models.base import EXACT, EpochStart, PrefixModel, SequentialModel, every_prefix
from fame.models.scoring import Scorer
from fame.registry import models
from fame.training.fit import fit, read_trained
from fame.training.loop import StageRun
from fame.training.stages import stages
from tests.fame.helpers import CPU, cyclic_sequences, random_rows, sequences_of


@dataclass(frozen=True, kw_only=True)
class OwnConfig(ModelConfig):
    name: Literal["own"] = "own"


class Counts(SequentialModel):
    """No weights: an item scores how often it was met, whatever the history."""

    Config = OwnConfig

    def __init__(self, config: OwnConfig, item_count: int, max_length: int) -> None:
        super().__init__()
        self.register_buffer("counts_V1", torch.zeros(item_count, 1))

    def hidden(self, items_BT: Tensor, lengths_B: Tensor) -> Tensor:
        return torch.ones(*items_BT.shape, 1)

    def item_table(self) -> Tensor:
        return self.counts_V1

    def start_epoch(self, epoch: EpochStart) -> None:
        self.counts_V1[:, 0] = torch.from_numpy(train_counts(epoch.sequences)[1:])


class Draws(SequentialModel):
    """Notes what it is given at the start of an epoch, and adds a term to the loss."""

    Config = OwnConfig
    seen: list

    def __init__(self, config: OwnConfig, item_count: int, max_length: int) -> None:
        super().__init__()
        self.items = nn.Embedding(item_count + 1, 4, padding_idx=0)
        self.seen, self.drawn = [], []

    def hidden(self, items_BT: Tensor, lengths_B: Tensor) -> Tensor:
        return self.items(items_BT)

    def item_table(self) -> Tensor:
        return self.items.weight[1:]

    def start_epoch(self, epoch: EpochStart) -> None:
        assert not self.training and not torch.is_grad_enabled()
        self.seen.append(epoch.index)
        self.generator = epoch.torch_generator()

    def forward(self, batch, objective: Objective = EXACT) -> Tensor:
        assert self.training and torch.is_grad_enabled()
        self.drawn.append(batch.draw(self.generator, 3))
        return super().forward(batch, objective) + batch.part(self.items.weight.sum())


@pytest.fixture
def own(monkeypatch):
    """Registers a class as the model `own` for the length of a test, and returns an experiment with it."""
    models.names()  # so that those that ship are there

    def call(model_class: type, **train):
        monkeypatch.setitem(models.entries, "own", model_class)
        tree = {"epochs": 3, "batch_size": 8, "patience": 0, **train}
        return experiment_from_dict({"data": {"max_length": 6}, "model": {"name": "own"}, "train": tree})

    return call


def test_a_model_without_weights_counts_once_and_is_not_optimised(own, tiny, single, tmp_path):
    (report,) = fit(own(Counts), tiny, tmp_path, single)
    assert report.finished and report.epoch == 1
    assert 0 < report.loss < np.inf
    weights = read_trained(tmp_path).weights
    expected = [0] * tiny.item_count
    for user in range(len(tiny)):
        for item in tiny[user][:-2].tolist():
            expected[item - 1] += 1
    assert weights["counts_V1"][:, 0].tolist() == expected


def test_a_finished_training_without_weights_is_not_begun_again(own, tiny, single, tmp_path):
    settings = own(Counts)
    assert len(list(fit(settings, tiny, tmp_path, single))) == 1
    assert list(fit(settings, tiny, tmp_path, single)) == []


def test_each_epoch_is_announced_and_draws_what_a_repetition_draws(own, tiny, single):
    settings = own(Draws)
    runs = [StageRun(settings, stages(settings)[0], tiny, single, {}, None) for _ in range(2)]
    for index in (0, 1):
        runs[0].train_epoch(index + 1, index)
    runs[1].train_epoch(2, 1)  # as a training does that is resumed after its first epoch
    whole, resumed = runs[0].model, runs[1].model
    assert whole.seen == [0, 1] and resumed.seen == [1]
    steps = len(resumed.drawn)
    assert all(map(torch.equal, whole.drawn[steps:], resumed.drawn))
    assert not torch.equal(whole.drawn[0], whole.drawn[steps])


def test_what_a_model_draws_changes_no_batch_and_no_dropout(single, tiny):
    class Spends(models.get("sasrec")):
        def start_epoch(self, epoch: EpochStart) -> None:
            epoch.generator.random(1000)
            torch.rand(1000)

    settings = experiment_from_dict({"data": {"max_length": 6}, "model": {"name": "sasrec", "dim": 8}})
    losses = []
    for model_class in (models.get("sasrec"), Spends):
        run = StageRun(settings, stages(settings)[0], tiny, single, {}, None)
        run.model.__class__ = model_class
        losses.append(run.train_epoch(1, 0)[0])
    assert losses[0] == losses[1]


@pytest.mark.parametrize("mode", ["all", "prefix"])
def test_a_mean_that_is_added_to_the_loss_counts_for_as_much_in_every_batch(mode, own, tiny, single):
    settings = own(Draws, mode=mode)
    run = StageRun(settings, stages(settings)[0], tiny, single, {}, None)
    model = run.model.train()
    model.generator = torch.Generator()
    for batch in run.batcher.epoch(8, np.random.default_rng(0)):
        plain = SequentialModel.forward(model, batch)
        added = (model(batch) - plain).item()
        assert added == pytest.approx(model.items.weight.sum().item() * batch.mean_targets, rel=1e-3)


@pytest.mark.parametrize("mode", ["all", "prefix"])
def test_the_last_target_of_each_row_is_found_and_so_is_its_window(mode):
    sequences = cyclic_sequences(users=20, item_count=15, longest=14, seed=2)
    windows = training_windows(sequences, mode, 5)
    for share in [(0, 1), (0, 3), (2, 3)]:
        batcher = Batcher(device_values(sequences, CPU), windows, share)
        for batch in batcher.epoch(7, np.random.default_rng(0)):
            if not len(batch.targets_R):
                assert not len(batch.targets_R[batch.last_R])
                continue
            starts, lengths = windows.starts[batch.windows], windows.lengths[batch.windows]
            assert batch.lengths_B.tolist() == lengths.tolist()
            assert batch.targets_R[batch.last_R].tolist() == sequences.values[starts + lengths].tolist()
            assert batch.items_BT[:, 0].tolist() == sequences.values[starts].tolist()


@given(size=st.integers(2, 4), batch_size=st.integers(1, 7))
def test_workers_draw_for_their_rows_what_one_would_draw_for_them(size, batch_size):
    sequences = cyclic_sequences(users=12, item_count=15, longest=10, seed=2)
    values, windows = device_values(sequences, CPU), training_windows(sequences, "all", 5)

    def drawn(share) -> list[tuple[list[int], Tensor]]:
        generator = torch.Generator().manual_seed(0)
        batches = Batcher(values, windows, share).epoch(batch_size, np.random.default_rng(0))
        rows = [(batch, batch.draw(generator, 2)) for batch in batches]
        assert all(len(numbers) == len(batch.items_BT) for batch, numbers in rows)
        return [(batch.windows.tolist(), numbers) for batch, numbers in rows if len(batch.targets_R)]

    alone = {number: row for numbers, rows in drawn((0, 1)) for number, row in zip(numbers, rows, strict=True)}
    for rank in range(size):
        for numbers, rows in drawn((rank, size)):
            assert all(torch.equal(row, alone[number]) for number, row in zip(numbers, rows, strict=True))


@given(batch=st.integers(1, 4), longest=st.integers(1, 6), seed=st.integers(0, 99))
def test_every_prefix_is_a_row(batch, longest, seed):
    items, lengths = random_rows(batch, longest, 9, seed)
    rows, row_lengths = every_prefix(items, lengths)
    for b in range(batch):
        history = items[b, : lengths[b]].tolist()
        for t in range(longest):
            row = b * longest + t
            expected = history[: t + 1]
            assert rows[row].tolist() == expected + [0] * (longest - len(expected))
            assert row_lengths[row] == len(expected)


class Sums(PrefixModel):
    """The query is the sum of what was read, times its length."""

    def __init__(self) -> None:
        super().__init__()
        self.items = nn.Embedding(10, 3, padding_idx=0)

    def encode(self, items_BT: Tensor, lengths_B: Tensor) -> Tensor:
        return self.items(items_BT).sum(1) * lengths_B[:, None]


def test_a_model_of_whole_histories_has_a_query_at_each_position():
    model, (items, lengths) = Sums(), random_rows(3, 5, 9, seed=0)
    hidden = model.hidden(items, lengths)
    assert hidden.shape == (3, 5, 3)
    for b in range(3):
        for t in range(lengths[b]):
            read = items[b, : t + 1]
            torch.testing.assert_close(hidden[b, t], model.items.weight[read].sum(0) * (t + 1))


class SuccessorScorer(Scorer):
    """Item numbers are the queries: the next number scores 2, all others 1 / number."""

    def __init__(self, item_count: int) -> None:
        self.item_count = item_count

    def scores(self, queries_BD, items=slice(None), out=None):
        numbers = torch.arange(1, self.item_count + 1)[items]
        return torch.where(numbers == queries_BD + 1, 2.0, (1 / numbers).expand(len(queries_BD), -1))


class Successor(SequentialModel):
    def hidden(self, items_BT: Tensor, lengths_B: Tensor) -> Tensor:
        return items_BT[..., None]

    def scorer(self) -> Scorer:
        return SuccessorScorer(9)


def test_a_score_that_is_no_dot_product_is_ranked(single):
    sequences = sequences_of([[1, 2, 3, 4], [5, 4, 3, 9]], item_count=9)
    evaluator = Evaluator(sequences, device_values(sequences, CPU), "test", 6, EvaluateConfig(), single)
    # 4 follows 3. Of the second user 5, 4 and 3 are left out; 9 has 1, 2, 6, 7 and 8 before it.
    assert evaluator.by_target(evaluator.ranks(Successor())).tolist() == [0, 5]


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (
            lambda model: model.start_from(model, BackboneConfig(epochs=1)),
            "no backbone to start from; define start_from",
        ),
        (lambda model: model.add_items(torch.zeros(1, 2)), "cannot take new items; define add_items"),
        (lambda model: model.start_from_labels(np.ones((3, 1), np.int64)), "no labels; define start_from_labels"),
        (lambda model: SequentialModel.item_table(model), "no item table; define item_table, or scorer"),
    ],
)
def test_what_a_model_lacks_says_what_to_define(call, words):
    with pytest.raises(TypeError, match=words):
        call(Counts(OwnConfig(), 3, 5))


def test_a_model_without_queries_is_none():
    with pytest.raises(TypeError, match="hidden"):
        SequentialModel()
