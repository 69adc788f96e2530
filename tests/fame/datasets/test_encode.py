"""Ids come back as they were; what cannot be an id or a time is named with its row."""

from __future__ import annotations

import datetime

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fame.datasets.encode import IdEncoder, parse_ratings
from fame.datasets.tables import Rows
from fame.datasets.times import TimeParser
from fame.errors import UserError

texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=8)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.one_of(texts, st.integers(0, 10**15).map(str), st.integers(0, 99).map("{:03d}".format)), min_size=1))
def test_ids_come_back_as_they_were(ids):
    encoder = IdEncoder("user")
    half = len(ids) // 2
    codes = np.concatenate([encoder.encode(pa.array(part, pa.string()), Rows()) for part in (ids[:half], ids[half:])])
    back = encoder.ids()[codes].tolist()
    assert [str(i) for i in back] == ids
    assert (back[0].__class__ is int) == all(i.isascii() and i.isdigit() and str(int(i)) == i for i in ids)


def test_integer_columns_of_any_width_give_the_same_ids():
    for kind in (pa.int8(), pa.uint64(), pa.float64(), pa.string(), pa.large_string(), pa.string_view()):
        encoder = IdEncoder("item")
        column = pa.array([5, 3, 5]).cast(pa.string()).cast(kind)
        codes = encoder.encode(column, Rows())
        assert encoder.ids()[codes].tolist() == [5, 3, 5]
    encoder = IdEncoder("item")
    assert encoder.encode(pa.array(["a", "b", "a"]).dictionary_encode(), Rows()).tolist() == [0, 1, 0]


def test_ids_keep_their_codes_whatever_type_later_chunks_have():
    encoder = IdEncoder("user")
    columns = pa.array([7, 8]), pa.array([8, 9]), pa.array(["9", "x"]), pa.array([7, 2**64 - 1], pa.uint64())
    assert [encoder.encode(column, Rows()).tolist() for column in columns] == [[0, 1], [1, 2], [2, 3], [0, 4]]
    ids, codes = encoder.sorted_ids()
    assert ids.tolist() == ["18446744073709551615", "7", "8", "9", "x"] and codes.tolist() == [4, 0, 1, 2, 3]


@pytest.mark.parametrize(
    ("column", "words"),
    [
        (pa.array([1, None]), "user id in row 12 is missing"),
        (pa.array([1.0, float("nan")]), "user id in row 12 is missing"),
        (pa.array(["a", ""]), "user id in row 12 is missing"),
        (pa.array([1.0, 1.5]), "user id 1.5 in row 12: ids must be integers"),
        (pa.array(["a", "b" * 201]), r"user id 'bbbbbbbbbbbbbbbbbbbb'… in row 12"),
        (pa.array([True, False]), "the column holds bool"),
    ],
)
def test_ids_that_cannot_be_used(column, words):
    with pytest.raises(UserError, match=words):
        IdEncoder("user").encode(column, Rows(first=11))


def test_negative_ids_are_ids():
    for column in (pa.array([1, 2, -7]), pa.array(["1", "2", "-7"]), pa.array([1.0, 2.0, -7.0])):
        encoder = IdEncoder("item")
        encoder.encode(column, Rows())
        assert encoder.ids().tolist() == [1, 2, -7]
    encoder = IdEncoder("item")
    encoder.encode(pa.array(["x", "-7", "-0"]), Rows())
    assert encoder.ids().tolist() == ["x", "-7", "-0"]


@pytest.mark.parametrize(
    "column",
    [
        pa.array([3, 1, 2]),
        pa.array([3.5, 1.5, 2.5]),
        pa.array(["30", "1", "2"]),
        pa.array(["3e9", "-1.5", "2"]),
        pa.array(["2020-01-03", "2020-01-01T23:00:00Z", "2020-01-02 00:30:00+01:00"]),
        pa.array(["2020-01-03 10:00:00.5", "2020-01-03 10:00:00", "2020-01-03 10:00:00.25"]),
        pa.array([datetime.datetime(2020, 1, day) for day in (3, 1, 2)]),
        pa.array([datetime.date(2020, 1, day) for day in (3, 1, 2)]),
    ],
)
def test_times_of_every_kind_sort(column):
    assert np.argsort(TimeParser().parse(column, Rows())).tolist() == [1, 2, 0]


@pytest.mark.parametrize(
    ("column", "words"),
    [
        (pa.array(["yesterday", "today"]), "time 'yesterday' in row 1 is not a number .* or an ISO date"),
        (pa.array(["5", "today"]), "time 'today' in row 2 is not a number as in the rows before it"),
        (pa.array(["2020-01-01", "7th"]), "time '7th' in row 2 is not a date as in the rows before it"),
        (pa.array(["5", "nan"]), "row 2"),
        (pa.array(["5", ""]), "time '' in row 2"),
        (pa.array([5.0, float("inf")]), "row 2"),
        (pa.array([5, None]), "row 2"),
        (pa.array([True, False]), "times must be numbers"),
    ],
)
def test_times_that_do_not_parse(column, words):
    with pytest.raises(UserError, match=words):
        TimeParser().parse(column, Rows())


def test_the_first_chunk_decides_what_times_are():
    parser = TimeParser()
    parser.parse(pa.array(["1", "2"]), Rows())
    with pytest.raises(UserError, match=r"time '2020-01-01' in row 3 is not a number"):
        parser.parse(pa.array(["2020-01-01"]), Rows(first=3))


def test_a_missing_rating_is_named():
    assert parse_ratings(pa.array(["4", "4.5"]), Rows()).tolist() == [4.0, 4.5]
    with pytest.raises(UserError, match=r"rating 'good' in row 6"):
        parse_ratings(pa.array(["4", "good"]), Rows(first=5))
    with pytest.raises(UserError, match=r"rating '' in row 6"):
        parse_ratings(pa.array([4.0, None]), Rows(first=5))
