"""Training once more on everything: a training whose data end later, and an exported folder that says so."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from fame import evaluate, recommend, train
from fame.config.tree import experiment_from_dict
from fame.datasets import Dataset, load_dataset
from fame.runtime.parallel import Workers
from fame.serving.exported import EVALUATED
from fame.training.fit import Trained, fit, read_trained
from fame.training.refit import REFIT, best_epochs, everything, refit
from fame.training.resolve import resolve
from tests.commands import TINY, call, write_config
from tests.fame.helpers import CPU, same_tensors, sequences_of

WORKERS = Workers(device=CPU)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Trained, Dataset]:
    """A training of two stages, whose rate falls."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FAME_DATA", str(tmp_path_factory.mktemp("cache")))
        tree = {**TINY, "backbone": {"epochs": 2}, "train": {**TINY["train"], "epochs": 4, "schedule": "linear"}}
        experiment = experiment_from_dict(tree)
        dataset = load_dataset(experiment.data)
        folder = tmp_path_factory.mktemp("training")
        for _ in fit(resolve(experiment, dataset, CPU, 1), dataset.sequences, folder, WORKERS):
            pass
        return read_trained(folder), dataset


def test_nothing_is_held_out():
    found = everything(sequences_of([[1, 2, 3], [4, 5, 6, 7]]))
    assert found.known("validation").all() and found.known("test").all()


def test_without_held_out_items_it_is_the_training_itself(made, tmp_path, monkeypatch):
    """On the training parts alone, it comes to the weights of the best epoch, bit for bit."""
    trained, dataset = made
    monkeypatch.setattr("fame.training.refit.everything", lambda sequences: sequences)
    found = refit(trained, dataset, tmp_path, WORKERS)
    assert found.epochs == best_epochs(trained)
    assert same_tensors(found.weights, trained.weights)


def test_it_goes_on_where_it_was_interrupted(made, tmp_path):
    trained, dataset = made
    whole, epochs = refit(trained, dataset, tmp_path / "whole", WORKERS), best_epochs(trained)
    assert not same_tensors(whole.weights, trained.weights) and whole.interactions == len(dataset.sequences.values)
    calls: list[tuple[str, int]] = []

    def stop(stage: str, done: int, of: int, loss: float) -> None:
        calls.append((stage, done))
        raise KeyboardInterrupt

    for _ in range(sum(epochs.values())):
        with pytest.raises(KeyboardInterrupt):
            refit(trained, dataset, tmp_path / "cut", WORKERS, on_epoch=stop)
    assert calls == [(stage, index + 1) for stage, count in epochs.items() for index in range(count)]
    assert same_tensors(refit(trained, dataset, tmp_path / "cut", WORKERS).weights, whole.weights)
    other = dataclasses.replace(trained, experiment=dataclasses.replace(trained.experiment, seed=7))
    assert not same_tensors(refit(other, dataset, tmp_path / "cut", WORKERS).weights, whole.weights)


def test_the_exported_folder_has_the_model_of_everything_and_the_metrics_of_the_one_before(tmp_path, monkeypatch):
    monkeypatch.setenv("FAME_DATA", str(tmp_path / "cache"))
    config = write_config(tmp_path / "c.yaml")
    plain, again = tmp_path / "plain", tmp_path / "again"
    assert call(train.main, "--config", config, "--output", plain).code == 0
    done = call(train.main, "--config", config, "--output", again, "--refit")
    assert done.code == 0 and "trained once more on all 288 interactions" in done.out, done.err
    before, after = (json.loads((folder / "best" / "metrics.json").read_text()) for folder in (plain, again))
    assert all(before[part] == after[part] for part in ("validation", "test"))
    assert after["refit"]["interactions"] == 288 and "refit" not in before
    weights = (plain / "best" / "model.safetensors").read_bytes()
    assert (again / "best" / EVALUATED).stat().st_size == len(weights) and (again / REFIT).exists()
    assert (again / "best" / "model.safetensors").read_bytes() != weights
    card = (again / "best" / "README.md").read_text()
    assert "trained once more on everything" in card and "The test metrics were computed once" not in card
    counts = [json.loads((folder / "best" / "items.json").read_text())["counts"] for folder in (plain, again)]
    assert (sum(counts[0]), sum(counts[1])) == (288 - 2 * 40, 288)
    asked = ["--user", "1", "--top", "3"]
    assert call(recommend.main, "--model", again / "best", *asked).code == 0
    repeated = call(train.main, "--config", config, "--output", again, "--refit")
    assert repeated.code == 0 and (again / "best" / EVALUATED).exists()
    found = call(evaluate.main, "--model", again / "best", "--output", tmp_path / "found.json")
    assert found.code == 0, found.err
    assert json.loads((tmp_path / "found.json").read_text())["metrics"]["ndcg@10"] == after["test"]["ndcg@10"]


def test_files_of_a_folder_are_named_in_the_guide():
    guide = (Path(__file__).parents[3] / "docs" / "GUIDE.md").read_text()
    assert EVALUATED in guide
