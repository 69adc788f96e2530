"""Rules that every registered model and dataset must keep, as functions of its name.

A model in `fame/extensions/` is checked with those that ship. To check another one, register it and call
`MODEL_CHECKS` in a parametrised test, as `test_conformance.py` does.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from fame.artifacts.checkpoint import load_checkpoint, save_checkpoint
from fame.config import SAMPLED_LOSSES, Experiment
from fame.config.tree import experiment_from_dict, to_dict, write_yaml
from fame.datasets import Dataset
from fame.datasets.batches import Batcher, device_values
from fame.datasets.dataset import statistics
from fame.datasets.items import Items
from fame.datasets.sequences import Part, Sequences, training_windows
from fame.errors import UserError
from fame.evaluation.evaluator import Evaluator
from fame.models.base import EpochStart, SequentialModel
from fame.registry import models
from fame.runtime.parallel import Workers
from fame.serving.export import export_model
from fame.serving.exported import load_model
from fame.serving.recommender import Recommender
from fame.serving.request import Request
from fame.training.fit import CHECKPOINT, fit, read_trained
from tests.fame.evaluation.naive import naive_metrics, naive_ranks
from tests.fame.helpers import CPU, cyclic_sequences, random_rows, same_tensors, timeless

ITEMS, LENGTH = 20, 6
WORKERS = Workers(device=CPU)


def data(seed: int = 1) -> Sequences:
    """With seed 1, 39 windows of mode `all`."""
    return cyclic_sequences(users=30, item_count=ITEMS, longest=12, seed=seed)


def new(name: str, seed: int = 0) -> SequentialModel:
    """The model with its default settings, its weights moved a little so that no start hides a fault."""
    torch.manual_seed(seed)
    model_class = models.get(name)
    model = model_class(model_class.Config(), ITEMS, LENGTH).eval()
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(torch.randn_like(weight) * 0.1)
        model.start_epoch(epoch_start(data(seed + 1)))
    return model


def epoch_start(sequences: Sequences) -> EpochStart:
    windows = training_windows(sequences, "all", LENGTH)
    return EpochStart(
        index=0,
        sequences=sequences,
        batcher=Batcher(device_values(sequences, CPU), windows),
        generator=np.random.default_rng(0),
        workers=WORKERS,
    )


def experiment(name: str, **train: Any) -> Experiment:
    """A short training of the model's default settings."""
    tree = {"epochs": 4, "batch_size": 8, "lr": 0.003, "patience": 0, "precision": "float32", **train}
    return experiment_from_dict({"data": {"max_length": LENGTH}, "model": {"name": name}, "train": tree})


def two_worker_experiment(name: str) -> Experiment:
    """Two epochs of three batches; the last one has a single row, so that the second worker has none.

    Dropout, which each worker draws for itself, is left out: all settings whose names end in `dropout`.
    """
    settings = experiment(name, epochs=2, batch_size=19)
    names = [field.name for field in dataclasses.fields(settings.model) if field.name.endswith("dropout")]
    return dataclasses.replace(settings, model=dataclasses.replace(settings.model, **dict.fromkeys(names, 0.0)))


def sharded_experiment(name: str) -> Experiment:
    """`two_worker_experiment` with an item table of which each worker has some rows."""
    settings = two_worker_experiment(name)
    train = dataclasses.replace(settings.train, loss="sampled_softmax", negatives=6, shard_items=True)
    return dataclasses.replace(settings, train=train)


def scores(model: SequentialModel, items: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return model.scorer().scores(model.encode(items, lengths))


def settings_are_an_experiment(name: str, folder: Path) -> None:
    """`Config` has the model's name, and goes through YAML."""
    experiment = experiment_from_dict({"model": {"name": name}})
    assert experiment.model == models.get(name).Config()
    assert experiment.model.name == name
    assert experiment_from_dict(to_dict(experiment)) == experiment
    assert f"name: {name}" in write_yaml(to_dict(experiment))


def shapes_are_those_of_the_protocol(name: str, folder: Path) -> None:
    model = new(name)
    items, lengths = random_rows(4, LENGTH, ITEMS, seed=0)
    hidden, encoded, scorer = model.hidden(items, lengths), model.encode(items, lengths), model.scorer()
    assert hidden.shape == (4, LENGTH, encoded.shape[1])
    assert len(encoded) == 4
    assert scorer.item_count == ITEMS
    torch.testing.assert_close(encoded, hidden[torch.arange(4), lengths - 1], rtol=1e-4, atol=1e-5)


def loss_falls(name: str, folder: Path) -> None:
    settings = experiment(name)
    reports = list(fit(settings, data(), folder, WORKERS))
    if has_weights(name):
        assert reports[-1].loss < reports[0].loss
    else:
        assert [report.finished for report in reports] == [True], "there is nothing to optimise: one epoch is all"
    model = models.get(name)(settings.model, ITEMS, LENGTH)
    model.load_state_dict(read_trained(folder).weights)
    assert torch.isfinite(scores(model.eval(), *random_rows(8, LENGTH, ITEMS, seed=1))).all()


def has_weights(name: str) -> bool:
    return bool(list(new(name).parameters()))


def sampled_losses_fall(name: str, folder: Path) -> None:
    """With rows of the table alone, unless the model refuses these losses."""
    for loss in SAMPLED_LOSSES:
        try:
            settings = experiment(name, loss=loss, negatives=8)
        except UserError:
            continue
        model, items = new(name), torch.tensor([[1, ITEMS], [3, 3]])
        assert torch.equal(model.item_rows(items), model.item_table()[items - 1])
        reports = list(fit(settings, data(), folder / loss, WORKERS))
        assert reports[-1].loss < reports[0].loss


def a_resumed_training_is_the_uninterrupted_one(name: str, folder: Path) -> None:
    """To the last bit, dropout and whatever else is drawn at random included."""
    settings = experiment(name, epochs=3)
    list(fit(settings, data(), folder / "straight", WORKERS))
    first = fit(settings, data(), folder / "crashed", WORKERS)
    next(first)
    first.close()
    list(fit(settings, data(), folder / "crashed", WORKERS))
    straight, resumed = (read_trained(folder / part) for part in ("straight", "crashed"))
    assert [*map(timeless, resumed.history)] == [*map(timeless, straight.history)]
    assert same_tensors(*(load_checkpoint(folder / part / CHECKPOINT)[0] for part in ("straight", "crashed")))


def scores_are_finite_and_differ(name: str, folder: Path) -> None:
    """For the shortest and the longest history, and not the same for all, unless the model says so."""
    found = scores(new(name), *random_rows(16, LENGTH, ITEMS, seed=2))
    assert torch.isfinite(found).all()
    assert found.std(1).min() > 0
    assert (found.std(0).min() > 0) == models.get(name).personal


def later_items_never_change_an_earlier_query(name: str, folder: Path) -> None:
    model = new(name)
    items, lengths = random_rows(1, LENGTH, ITEMS, seed=3)
    with torch.no_grad():
        before = model.hidden(items, lengths)
        for t in range(1, LENGTH):
            changed = items.clone()
            changed[0, t] = items[0, t] % ITEMS + 1
            after = model.hidden(changed, lengths)
            torch.testing.assert_close(after[:, :t], before[:, :t], rtol=0, atol=0)
            assert torch.equal(after[:, t], before[:, t]) != model.personal


def padding_never_matters(name: str, folder: Path) -> None:
    """Neither how much there is, nor what other rows are in the batch, nor what lies in the padding."""
    model = new(name)
    items, lengths = random_rows(6, LENGTH, ITEMS, seed=4)
    together = scores(model, items, lengths)
    filled = torch.where(torch.arange(LENGTH) < lengths[:, None], items, 1)
    torch.testing.assert_close(scores(model, filled, lengths), together, rtol=1e-5, atol=1e-5)
    with torch.no_grad():
        hidden = model.hidden(items, lengths)
        for b, length in enumerate(lengths):
            row, alone = items[b : b + 1, :length], lengths[b : b + 1]
            torch.testing.assert_close(scores(model, row, alone)[0], together[b], rtol=1e-4, atol=1e-5)
            torch.testing.assert_close(model.hidden(row, alone)[0], hidden[b, :length], rtol=1e-4, atol=1e-5)


def save_and_load_give_the_same_scores(name: str, folder: Path) -> None:
    model, rows = new(name), random_rows(8, LENGTH, ITEMS, seed=5)
    save_checkpoint(folder / "model.safetensors", model.state_dict(), {})
    other = new(name, seed=1)
    assert not torch.equal(scores(other, *rows), scores(model, *rows))
    other.load_state_dict(load_checkpoint(folder / "model.safetensors")[0])
    assert torch.equal(scores(other, *rows), scores(model, *rows))


def items_start_from_text(name: str, folder: Path) -> None:
    """If the model says of what its item vectors consist: those that are known start as they are given."""
    model = new(name)
    layout = models.get(name).Config().item_blocks()
    if layout is None:
        return
    heads, dim = layout
    before, known = model.item_table().detach().clone(), torch.arange(ITEMS) % 3 > 0
    assert before.shape[1] == dim and dim % heads == 0
    given = torch.randn(ITEMS, dim)
    model.start_from_items(given, known)
    torch.testing.assert_close(model.item_table(), torch.where(known[:, None], given, before))


def items_are_added(name: str, folder: Path) -> None:
    """If items can start from text: the scores of the others stay, and a new item is known by its row of the table."""
    model, rows = new(name), random_rows(8, LENGTH, ITEMS, seed=6)
    layout = models.get(name).Config().item_blocks()
    if layout is None:
        return
    before, given = scores(model, *rows), torch.randn(3, layout[1])
    model.add_items(given)
    assert torch.equal(model.item_table()[ITEMS:], given)
    torch.testing.assert_close(scores(model, *rows)[:, :ITEMS], before)
    read = [scores(model, torch.tensor([[1, ITEMS + n]]), torch.tensor([2])) for n in (1, 3)]
    assert read[0].isfinite().all() and not torch.allclose(*read)
    larger = models.get(name)(models.get(name).Config(), ITEMS + 3, LENGTH).eval()
    larger.load_state_dict(model.state_dict())
    assert torch.equal(scores(larger, *rows), scores(model, *rows))


def evaluation_is_naive_evaluation(name: str, folder: Path) -> None:
    model, sequences = new(name), data()
    config = experiment_from_dict({"model": {"name": name}}).evaluate

    def scores_of(history: list[int]) -> list[float]:
        newest = history[-LENGTH:]
        return scores(model, torch.tensor([newest]), torch.tensor([len(newest)]))[0].tolist()

    parts: tuple[Part, ...] = ("validation", "test")
    for part in parts:
        found = Evaluator(sequences, device_values(sequences, CPU), part, LENGTH, config, WORKERS).metrics(model)
        expected = naive_metrics(naive_ranks(sequences, part, scores_of, config.exclude_seen), config.cutoffs)
        assert found.keys() == expected.keys()
        # Two scores within rounding may change places in a batch.
        assert all(abs(found[key] - expected[key]) < 1e-6 for key in expected)


def an_exported_model_recommends(name: str, folder: Path) -> None:
    """From its folder alone, by its scores, and nothing of the history."""
    settings = experiment(name, epochs=1)
    list(fit(settings, data(), folder / "training", WORKERS))
    trained = read_trained(folder / "training")
    export_model(folder / "best", trained, dataset(settings))
    recommender = Recommender(load_model(folder / "best"))
    model = models.get(name)(settings.model, ITEMS, LENGTH).eval()
    model.load_state_dict(trained.weights)
    for history in ([3], list(range(1, LENGTH + 4))):
        newest = history[-LENGTH:]
        expected = scores(model, torch.tensor([newest]), torch.tensor([len(newest)]))[0]
        ids = [recommender.exported.catalogue.ids[number - 1] for number in history]
        (answer,) = recommender.recommend([Request(history=ids, top=5)])
        found = torch.tensor([item.score for item in answer.items])
        numbers = [recommender.number(item.id) for item in answer.items]
        torch.testing.assert_close(found, expected[torch.tensor(numbers) - 1])
        expected[torch.tensor(history) - 1] = float("-inf")
        torch.testing.assert_close(found, expected.topk(5).values)


def dataset(settings: Experiment) -> Dataset:
    """`data()` with ids, as a training's dataset."""
    sequences = data()
    return Dataset(
        config=settings.data,
        sequences=sequences,
        user_ids=np.arange(len(sequences)),
        items=Items(ids=np.arange(ITEMS) * 10, columns={}),
        facets=(),
        statistics=statistics(sequences, []),
        source="generated",
        notes=(),
        fingerprint="conformance",
        items_fingerprint="",
    )


MODEL_CHECKS: tuple[Callable[[str, Path], None], ...] = (
    settings_are_an_experiment,
    shapes_are_those_of_the_protocol,
    loss_falls,
    sampled_losses_fall,
    a_resumed_training_is_the_uninterrupted_one,
    scores_are_finite_and_differ,
    later_items_never_change_an_earlier_query,
    padding_never_matters,
    save_and_load_give_the_same_scores,
    items_start_from_text,
    items_are_added,
    evaluation_is_naive_evaluation,
    an_exported_model_recommends,
)
"""Each takes a registered model's name and an empty folder, and fails with an assertion."""
