"""Models that tests of several folders read, and the cache that has the data of one."""

from __future__ import annotations

from pathlib import Path

import pytest

import fame
from fame import train
from tests.commands import call, write_config, write_lines
from tests.fame.clicks import ITEMS, USERS


@pytest.fixture(scope="package")
def clicks_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of own data: ids are texts with leading zeros, half the items have a title."""
    work = tmp_path_factory.mktemp("recommend")
    rows = [f"{user},{item},{time}" for user, items in USERS.items() for time, item in enumerate(items)]
    write_lines(work / "clicks.csv", "user,item,time", *rows)
    write_lines(work / "items.csv", "item,title", *(f"{item},Title of {item}" for item in ITEMS[::2]))
    config = write_config(work / "c.yaml", data={"max_length": 6, "core": 1})
    files = ["--data", work / "clicks.csv", "--items", work / "items.csv", "--dataset", "clicks"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FAME_DATA", str(work / "cache"))
        settings = ["--set", "data.max_length=6", "--set", "data.core=1"]
        assert call(train.main, "--config", config, *files, *settings, "--output", work / "out").code == 0
    return work / "out" / "best"


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a model trained by the library."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FAME_DATA", str(tmp_path_factory.mktemp("cache")))
        data = fame.Dataset.named("synthetic", size={"users": 60, "items": 30})
        model = fame.fit(data, model="fame_memory", epochs=1, dim=16, progress=False)
        return model.save(tmp_path_factory.mktemp("models") / "shop")


@pytest.fixture
def clicks_cache(clicks_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAME_DATA", str(clicks_model.parent.parent / "cache"))
