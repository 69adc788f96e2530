"""A dataset: its configuration, its fingerprint, its counts, and the columns that it says it read."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from fame.config import DataConfig
from fame.config.tree import section_from_dict, to_dict
from fame.datasets import load_dataset
from fame.datasets.dataset import roles
from fame.errors import UserError
from tests.fame.datasets.files import SMALL, load_config


def test_the_resolved_configuration_loads_the_same_again():
    dataset = load_config()
    again = load_config(section_from_dict(DataConfig, to_dict(dataset.config), "data"))
    assert again.config == dataset.config
    assert None not in (again.config.core, again.config.fingerprint)


def test_another_fingerprint_is_an_error():
    fingerprint = load_config().fingerprint
    other = dataclasses.replace(SMALL, fingerprint="0123456789abcdef")
    with pytest.raises(UserError, match=f"data.fingerprint = 0123456789abcdef: synthetic from .* is {fingerprint}, "):
        load_config(other)


def test_train_counts_leave_out_the_held_out_items(write):
    rows = ["1,1,1", "1,2,2", "1,1,3", "1,3,4", "1,2,5"]
    path = write("a.csv", "user,item,time", *rows)
    dataset = load_config(DataConfig(name="own", path=path, core=1, repeats="keep"))
    assert dataset.train_counts.tolist() == [0, 2, 1, 0]


COLUMNS = {"user": "Kunde", "item": "Article No.", "time": "Zeitpunkt"}


WRITTEN = "%d.%m.%Y %H:%M"


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """12 customers with 6 purchases of 12 articles, the newest first."""
    monkeypatch.setenv("FAME_DATA", str(tmp_path / "cache"))
    rows = [f"K{u};A{(u + k) % 12};{28 - k:02d}.{1 + u:02d}.2024 09:{u:02d}" for u in range(12) for k in range(6)]
    (tmp_path / "buys.csv").write_text("\n".join(["Kunde;Article No.;Zeitpunkt", *rows]) + "\n")
    items = [f"A{a};Product {a};{'Haar' if a % 2 else 'Bad'};{a},99" for a in range(12)]
    (tmp_path / "items.csv").write_text("\n".join(["Article No.;Product Name;Category;price €", *items]) + "\n")
    return tmp_path


def config(shop: Path, **settings: object) -> DataConfig:
    given = {"columns": COLUMNS, "time_format": WRITTEN, "items": str(shop / "items.csv"), "core": 1, **settings}
    return DataConfig(name="shop", path=str(shop / "buys.csv"), **given)


def test_it_is_said_which_columns_are_what(shop):
    columns = "user = Kunde, item = Article No., time = Zeitpunkt"
    whole = load_dataset(config(shop))
    assert roles(whole) == f"{columns}, title = Product Name; of items: title, Category, price €"
    assert roles(whole, ["Category"]).endswith("price €; facets: Category")
    assert roles(load_dataset(config(shop, items=None))) == columns


def test_the_recipe_is_said_with_what_was_set_otherwise(shop):
    assert load_dataset(config(shop, core=None)).recipe == "5-core"
    assert load_dataset(config(shop, core=1, repeats="keep")).recipe == "5-core, but core 1, repeats keep"
