"""Columns by name, by number, and where a name stands twice."""

from __future__ import annotations

import pytest

from fame.errors import UserError
from fame.tables.names import find_column
from fame.tables.table import FileTable
from tests.fame.datasets.files import histories, load, rows, text

TABLE = FileTable(name="clicks.csv", columns=["user", "Item", "7"], read=lambda columns: iter(()))


@pytest.mark.parametrize(
    ("name", "column"), [("user", "user"), ("item", "Item"), (" USER ", "user"), ("2", "Item"), ("7", "7")]
)
def test_a_column_by_its_name_or_its_number(name, column):
    assert find_column(TABLE, name, "item") == column


@pytest.mark.parametrize("name", ["0", "4", "²", "us", ""])
def test_a_column_that_is_not_there(name):
    with pytest.raises(UserError, match=r"clicks.csv has no column .* \(item\); columns there: user, Item, 7"):
        find_column(TABLE, name, "item")


def test_a_repeated_name_that_is_used_is_chosen_by_number(tmp_path):
    (tmp_path / "a.csv").write_text(text([(u, "x", i, t) for u, i, t in rows()], header="user,item,item,time"))
    with pytest.raises(UserError, match=r"more than one column is named 'item'; choose one by its number, .* item=2"):
        load(tmp_path / "a.csv")
    assert histories(load(tmp_path / "a.csv", columns={"item": "3"})[0])["u"] == ["a", "b", "c", "d"]
