"""A small dataset, and the plan of trials on it, without a cluster."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from fame.datasets import Dataset, load_dataset
from tuning.trial.plan import TrialPlan, trial_experiment
from tuning.trial.shared_dataset import share

BASE = {
    "data": {"name": "synthetic", "size": {"users": 60, "items": 40}, "core": 1},
    "model": {"name": "sasrec", "dim": 8},
    "backbone": {"epochs": 0},
    "train": {"epochs": 3, "precision": "float32"},
}


@pytest.fixture(scope="session")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FAME_DATA", str(tmp_path_factory.mktemp("data")))
        return load_dataset(trial_experiment(BASE, {}).data)


@pytest.fixture
def make_plan(dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., TrialPlan]:
    """A plan whose scratch folders are the test's own."""
    (tmp_path / "scratch").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "scratch"))

    def make(**settings) -> TrialPlan:
        trials = {
            "metric": "ndcg@10",
            "workers": 1,
            "cpus_per_worker": 1,
            "gpus_per_worker": 0,
            "folder": str(tmp_path / "trials"),
        }
        return TrialPlan(base=BASE, dataset=share(dataset, this_machine=True), **{**trials, **settings})

    return make


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ray.tune.trainable.trainable.DEFAULT_STORAGE_PATH", str(tmp_path / "ray"))
