"""A quotation mark that is not closed swallows rows: an error with its line."""

from __future__ import annotations

import pytest

from fame.errors import UserError
from tests.fame.datasets.files import BEGIN, load, rows, text


@pytest.mark.parametrize("quoted", [0, 3])
def test_a_mark_that_swallows_rows_is_an_error_with_its_line(quoted, tmp_path):
    """Also far behind the part that is looked at first, and in a column that nobody uses."""
    path = tmp_path / "a.csv"
    lines = [(f"u{k // 10}", k % 10, BEGIN + k, '"so, so"' if k < quoted else "x") for k in range(20_000)]
    lines[15_000] = (*lines[15_000][:3], '"not closed')
    lines[15_003] = (*lines[15_003][:3], '"closed here')
    path.write_text(text(lines, header="user,item,time,note"))
    with pytest.raises(
        UserError, match="a quotation mark in line 15002 is not closed, so its field takes in the lines"
    ):
        load(path)


def test_a_mark_in_an_id_column_is_an_error_with_its_row(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text('user,item,time,n\n1,"a,b",1,x\n1,"c,2,x\n1,"d,3,x\n')
    with pytest.raises(UserError, match=r"in row 2 holds a line end; close the quotation mark before it"):
        load(path)


def test_reviews_of_several_lines_are_no_error(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text(
        text([(*row, '"one, ""two""\nthree\n,,,\nfour"') for row in rows()], header="user,item,time,review")
    )
    assert load(path)[0].statistics["actions"] == 8
