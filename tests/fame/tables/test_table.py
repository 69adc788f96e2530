"""A table knows the row and the file of each value, and joins the columns of several files."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pytest

from fame.errors import UserError
from fame.tables.table import FileTable, Rows, clear_errors, joined, reason, unique_labels


def table(name: str, rows: Sequence[dict[str, str]], **fields: object) -> FileTable:
    batches = [pa.RecordBatch.from_pylist([row]) for row in rows]
    return FileTable(
        name=name, columns=list(rows[0]), read=lambda wanted: [b.select(wanted) for b in batches], **fields
    )


def test_a_value_is_named_by_its_row_also_after_a_selection() -> None:
    taken = Rows(first=10, file="a.csv").take(np.array([4, 2])).take(np.array([1]))
    assert taken.name(0) == "row 12 of a.csv" and Rows().name(3) == "row 4"


def test_files_are_joined_one_after_the_other_with_the_columns_that_some_lack() -> None:
    first = table("a", [{"user": "u"}, {"user": "v"}], constants=(("day", "1"),))
    both = joined("ab", [first, table("b", [{"user": "w", "x": "y"}])])
    assert both.columns == ["user", "x", "day"]
    batches = list(both.batches(["day", "user", "x"]))
    rows = [row for batch in batches for row in batch.columns.to_pylist()]
    assert rows == [
        {"user": "u", "day": "1", "x": None},
        {"user": "v", "day": "1", "x": None},
        {"user": "w", "day": None, "x": "y"},
    ]
    assert [batch.rows.name(0) for batch in batches] == ["row 1 of a", "row 2 of a", "row 1 of b"]


def test_notes_of_many_files_are_three_lines_and_a_count() -> None:
    parts = [table(name, [{"user": "u"}], notes=(f"about {name}",)) for name in "abcde"]
    assert joined("all", parts).notes == ("about a", "about b", "about c", "and 2 more such lines")


def test_columns_without_a_name_of_their_own_have_their_number() -> None:
    assert unique_labels(["user", "", "x", "x"]) == ["user", "(column 2)", "x (column 3)", "x (column 4)"]


def test_what_a_parser_raises_is_one_line_and_other_errors_are_ours() -> None:
    line = "cannot read a.csv as CSV: one two; check that it is one and complete"
    with pytest.raises(UserError, match=line), clear_errors("a.csv", "CSV"):
        raise pa.ArrowInvalid("one\ntwo")
    with pytest.raises(ZeroDivisionError), clear_errors("a.csv", "CSV"):
        raise ZeroDivisionError
    assert len(reason(ValueError("x" * 1000))) == 160
