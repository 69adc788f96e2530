"""Dates that are written as text, against Python's `datetime`."""

from __future__ import annotations

import datetime

import pyarrow as pa
import pytest

from fame.errors import UserError
from fame.tables.dates import dates_as_usual, dates_in_format, likely_format, looks_like_time

MOMENT = datetime.datetime(2024, 1, 5, 22, 30, 7, tzinfo=datetime.UTC)
MICROSECONDS = int(MOMENT.timestamp()) * 10**6


@pytest.mark.parametrize(
    "text",
    ["2024-01-05T22:30:07Z", "2024/01/05 22:30:07 UTC", "2024-01-05 23:30:07+01:00", "Fri, 05 Jan 2024 22:30:07 GMT"],
)
def test_usual_ways_to_write_a_moment(text: str) -> None:
    dates = dates_as_usual(pa.array([text, text]))
    assert (dates.values.tolist(), dates.unit) == ([MICROSECONDS] * 2, "us")
    assert dates.good.all() and not dates_as_usual(pa.array([text, "someday"])).good.all()
    assert (dates.clocks, dates.zoned) == (2, 2)


def test_a_format_of_the_user_and_one_that_is_none() -> None:
    assert likely_format("05.01.2024 22:30:07") == "%d.%m.%Y %H:%M:%S"
    dates = dates_in_format(pa.array(["05.01.2024 22:30:07", "2024-01-05"]), "%d.%m.%Y %H:%M:%S")
    assert dates.values[0] == MICROSECONDS and dates.good.tolist() == [True, False]
    with pytest.raises(UserError, match="use Python's strptime"):
        dates_in_format(pa.array(["5"]), "%Ö")


@pytest.mark.parametrize(
    ("text", "is_time"), [("1.5e9", True), ("2024-01-05", True), ("20240105", True), ("a", False), ("", False)]
)
def test_numbers_and_dates_look_like_times(text: str, is_time: bool) -> None:
    assert looks_like_time(text) == is_time


@pytest.mark.parametrize("text", ["2024-01-05", "5.1", "05/01/2024"])
def test_no_format_is_guessed_for_other_texts(text: str) -> None:
    assert likely_format(text) is None
