"""Exported models whose weights were never trained: what serves them does not care."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest

from fame.config.tree import experiment_from_dict
from fame.datasets import Dataset, load_dataset
from fame.runtime.parallel import Workers
from fame.serving.export import export_model
from fame.training.fit import Trained, fit, read_trained
from fame.training.resolve import resolve
from tests.commands import TINY
from tests.fame.helpers import CPU
from tuning.registry.package import package


@pytest.fixture(scope="package")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Trained, Dataset]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FAME_DATA", str(tmp_path_factory.mktemp("data")))
        experiment = experiment_from_dict({**TINY, "train": {**TINY["train"], "epochs": 1}})
        dataset = load_dataset(experiment.data)
    folder = tmp_path_factory.mktemp("training")
    for _ in fit(resolve(experiment, dataset, CPU, 1), dataset.sequences, folder, Workers(device=CPU)):
        pass
    return read_trained(folder), dataset


@pytest.fixture(scope="package")
def best(trained: tuple[Trained, Dataset], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An exported folder."""
    folder = tmp_path_factory.mktemp("exported") / "best"
    export_model(folder, *trained)
    return folder


@pytest.fixture
def other(trained: tuple[Trained, Dataset], tmp_path: Path) -> Callable[[float], Path]:
    """Makes exported folders of other weights: those of `best` times a factor."""

    def make(factor: float) -> Path:

        one, dataset = trained
        weights = {name: weight * factor for name, weight in one.weights.items()}
        export_model(tmp_path / f"times-{factor}", dataclasses.replace(one, weights=weights), dataset)
        return tmp_path / f"times-{factor}"

    return make


@pytest.fixture(scope="module")
def target(best: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("package") / "model"
    package(best, target)
    return target
