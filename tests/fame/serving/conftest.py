"""A training of two stages, and its exported folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from fame import train
from fame.config.tree import experiment_from_dict
from fame.datasets import Dataset, load_dataset
from fame.runtime.parallel import Workers
from fame.serving.export import export_model
from fame.training.fit import Trained, fit, read_trained
from fame.training.resolve import resolve
from tests.commands import TINY, call, write_config, write_lines
from tests.fame.helpers import CPU
from tests.fame.serving.many_users import ITEMS, USERS


@pytest.fixture(scope="package")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Trained, Dataset]:
    """A training of two stages and its dataset."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FAME_DATA", str(tmp_path_factory.mktemp("cache")))
        plain = experiment_from_dict({**TINY, "backbone": {"epochs": 1}})
        dataset = load_dataset(plain.data)
        workers = Workers(device=CPU)
        folder = tmp_path_factory.mktemp("training")
        for _ in fit(resolve(plain, dataset, CPU, 1), dataset.sequences, folder, workers):
            pass
        return read_trained(folder), dataset


@pytest.fixture
def folder(made, tmp_path: Path) -> Path:
    """A freshly exported folder."""
    export_model(tmp_path / "best", *made)
    return tmp_path / "best"


@pytest.fixture(scope="package")
def dataless(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of own data, whose data are gone."""
    work = tmp_path_factory.mktemp("bulk")
    rows = [f"{user},{item},{time}" for user, items in USERS.items() for time, item in enumerate(items)]
    write_lines(work / "clicks.csv", "user,item,time", *rows)
    write_lines(work / "items.csv", "item,title,kind", *(f"{item},Title {item},{int(item) % 3}" for item in ITEMS))
    config = write_config(work / "c.yaml", data={"max_length": 6, "core": 1})
    files = ["--data", work / "clicks.csv", "--items", work / "items.csv", "--dataset", "clicks"]
    settings = ["--set", "data.max_length=6", "--set", "data.core=1"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FAME_DATA", str(work / "cache"))
        assert call(train.main, "--config", config, *files, *settings, "--output", work / "out").code == 0
    for name in ("clicks.csv", "items.csv"):
        (work / name).unlink()
    return work / "out" / "best"
