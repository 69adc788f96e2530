"""The catalogue: items are found by their ids, and called by their titles."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from fame.config import DataConfig
from fame.datasets.items import Items, TextColumn
from tests.fame.datasets.files import load_config


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({"title": "T", "brand": "B"}, "T"),
        ({"title": "", "brand": "B", "categories": "wide|narrow"}, "B narrow (7)"),
        ({"categories": "wide|narrow"}, "narrow (7)"),
        ({"title": "", "brand": "", "categories": ""}, "7"),
        ({}, "7"),
    ],
)
def test_an_item_without_a_title_is_called_by_what_else_is_known(columns, expected):
    texts = {name: TextColumn.from_strings([text]) for name, text in columns.items()}
    assert Items(ids=np.array([7]), columns=texts).title(1) == expected


def test_ids_are_found_by_their_text(write):
    rows = [f"{user},{item},{time}" for user in ("al", "bo") for time, item in enumerate((30, 4, 500))]
    dataset = load_config(DataConfig(name="own", path=write("a.csv", "user,item,time", *rows), core=1))
    assert [dataset.items.number(t) for t in ("4", "30", "500")] == [1, 2, 3]
    assert [dataset.items.number(t) for t in ("04", "5", "x", "", "501", "-4", "9" * 30)] == [None] * 7
    assert [dataset.user(t) for t in ("al", "bo", "a", "zz")] == [0, 1, None, None]
    assert dataset.items.id(2) == 30
    assert dataset.items.title(2) == "30"


def test_text_columns_hold_any_text():
    texts = ["", "a", "Ünï\n✓", "", "z" * 1000]
    column = TextColumn.from_strings(texts)
    assert list(column) == texts == [column[i] for i in range(5)]
    assert column[-1] == texts[-1]
    assert len(column) == 5
    assert list(pickle.loads(pickle.dumps(column))) == texts
    with pytest.raises(IndexError):
        column[5]
    assert list(TextColumn.from_strings([])) == []
