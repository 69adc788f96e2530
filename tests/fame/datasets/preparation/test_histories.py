"""One row per user with lists becomes one row per interaction."""

from __future__ import annotations

import pyarrow as pa
import pytest

from fame.datasets.entry import Chunk
from fame.datasets.preparation.histories import one_row_each, parsed, split
from fame.errors import UserError
from fame.tables.table import Rows


@pytest.mark.parametrize("items", [[["a", "b"], None, ["c"]], ["['a' 'b']", None, "[c]"], ["a|b", "", "c"]])
def test_lists_become_rows_that_know_their_place_in_the_file(items: list) -> None:
    chunk = Chunk(user=pa.array(["u", "v", "w"]), item=pa.array(items), time=None)
    made = one_row_each(chunk, Rows(first=7))
    assert made.user.to_pylist() == ["u", "u", "w"] and made.item.to_pylist() == ["a", "b", "c"]
    assert made.time.tolist() == [0, 1, 0] and made.ordered
    assert [made.rows.name(k) for k in range(3)] == ["row 7", "row 7", "row 9"]


def test_a_time_is_a_list_or_one_for_the_whole_list() -> None:
    item = pa.array([["a", "b"], ["c"]])
    for time, expected in ((pa.array([[3, 4], [5]]), [3, 4, 5]), (pa.array([3, 5]), [3, 3, 5])):
        made = one_row_each(Chunk(user=pa.array([1, 2]), item=item, time=time), Rows())
        assert made.time.to_pylist() == expected and not made.ordered
    with pytest.raises(UserError, match=r"row 2 has 1 items and 2 times; a list of times needs one for each item"):
        one_row_each(Chunk(user=pa.array([1, 2]), item=item, time=pa.array([[3, 4], [5, 6]])), Rows())


@pytest.mark.parametrize("text", ["[1, 2]", "['1', \"2\"]", "1 2", "1|2", "1, 2", "(1, 2)", "{1, 2}", "[1 2]"])
def test_a_list_is_written_in_many_ways(text: str) -> None:
    assert split(text) == ["1", "2"]


@pytest.mark.parametrize("text", ["[REC]", "{x", "print(1)", "7", "[__import__('os')]"])
def test_a_text_that_writes_no_list_stays_as_it_is(text: str) -> None:
    assert parsed(text) == text
