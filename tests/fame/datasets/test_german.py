"""A German shop's files: semicolons, days first, decimal commas, and names of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from fame.config import DataConfig
from fame.datasets import load_dataset
from fame.datasets.__main__ import main
from fame.datasets.dataset import roles
from fame.errors import UserError
from tests.commands import call

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


def test_days_come_first_and_titles_are_found_and_said(shop):
    lines: list[str] = []
    data = load_dataset(config(shop), report=lines.append)
    assert "shop: titles are in 'Product Name'; name another column with --columns title=NAME" in lines
    history = data.sequences[data.user("K0")].tolist()
    assert [data.items.title(number) for number in history] == [f"Product {k}" for k in (5, 4, 3, 2, 1, 0)]


def test_titles_and_ids_are_in_the_columns_that_are_named(shop):
    lines: list[str] = []
    data = load_dataset(
        config(shop, columns={**COLUMNS, "title": "Category", "item_id": "article no."}), report=lines.append
    )
    assert data.items.title(1) == "Bad" and not [line for line in lines if "titles are" in line]


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        (
            {"time_format": None},
            r"time '28.01.2024 09:00' in row 1 is not .*; say how it is written: --time-format '%d",
        ),
        (
            {"time_format": "%d.%m.%y"},
            r"time '28.01.2024 09:00' in row 1 is not written as data.time_format = '%d.%m.%y'",
        ),
        ({"time_format": "%Ö"}, r"data.time_format = '%Ö': .*; use Python's strptime"),
        (
            {"columns": {**COLUMNS, "titel": "x"}},
            "unknown role 'titel'; the roles are user, item, time, rating, item_id, title",
        ),
        ({"columns": {**COLUMNS, "title": "x"}, "items": None}, r"data.columns.title = .*: needs data.items"),
        ({"columns": {**COLUMNS, "title": "x"}}, r"items.csv has no column 'x' \(title\)"),
    ],
)
def test_mistakes_are_one_line(shop, settings, line):
    with pytest.raises(UserError, match=line):
        load_dataset(config(shop, **settings))


def test_the_command_shows_facets_and_reads_decimal_commas(shop):
    options = ["--columns", ",".join(f"{role}={name}" for role, name in COLUMNS.items()), "--time-format", WRITTEN]
    done = call(main, "--data", shop / "buys.csv", *options, "--items", shop / "items.csv", "--facets", "price €:2")
    assert done.code == 0 and "facet        price €:2: " in done.out


def test_it_is_said_which_columns_are_what(shop):
    columns = "user = Kunde, item = Article No., time = Zeitpunkt"
    whole = load_dataset(config(shop))
    assert roles(whole) == f"{columns}, title = Product Name; of items: title, Category, price €"
    assert roles(whole, ["Category"]).endswith("price €; facets: Category")
    assert roles(load_dataset(config(shop, items=None))) == columns


def test_the_recipe_is_said_with_what_was_set_otherwise(shop):
    assert load_dataset(config(shop, core=None)).recipe == "5-core"
    assert load_dataset(config(shop, core=1, repeats="keep")).recipe == "5-core, but core 1, repeats keep"
