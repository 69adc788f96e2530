"""The text of an item is what its columns say."""

from __future__ import annotations

import numpy as np

from fame.datasets.items import Items, TextColumn
from fame.text.texts import item_texts, text_columns


def items(**columns: list[str]) -> Items:
    return Items(ids=np.arange(2), columns={name: TextColumn.from_strings(texts) for name, texts in columns.items()})


def test_usual_columns_in_their_order_and_labels_as_a_list():
    table = items(genres=["Drama|War", ""], title=["Ran (1985)", ""], asin=["B01", "B02"], keywords=["ran", "x"])
    assert item_texts(table, None) == ["Ran (1985). Drama, War", ""]


def test_keywords_stand_in_for_titles():
    assert item_texts(items(keywords=["nail", ""], brand=["OPI", "x"]), None) == ["nail. OPI", "x"]


def test_columns_that_are_named_are_read_in_their_order():
    table = items(title=["a", "b"], note=["c", "d"])
    assert item_texts(table, ("note", "title")) == ["c. a", "d. b"]


def test_items_without_columns_have_no_text():
    assert text_columns(items(), None) == []
    assert item_texts(items(), None) == ["", ""]
