"""Times of every kind sort; what is no time, or of another unit, is named with its row."""

from __future__ import annotations

import datetime

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from fame.errors import UserError
from fame.tables.table import Rows
from fame.tables.times import TimeParser
from tests.fame.datasets.files import BEGIN, histories, load, rows, text


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


def test_times_of_several_units_are_an_error_or_converted(tmp_path):
    path = tmp_path / "a.csv"
    times = [(BEGIN + 60 * k) * (1000 if k % 2 else 1) for k in range(6)]
    path.write_text(text(rows(ids=range(6), times=times)))
    words = f"{BEGIN} in row 1 is in seconds, {times[1]} in row 2 in milliseconds; .* --mixed-times convert"
    with pytest.raises(UserError, match=words):
        load(path)
    dataset, said = load(path, mixed_times="convert")
    assert histories(dataset)["u"] == list(range(6))
    assert said == ["times of more than one unit are converted: 6 in seconds, 6 in milliseconds"]


@pytest.mark.parametrize("factor", [10**3, 10**6, 10**9])
@pytest.mark.parametrize("share", [2, 500])
def test_every_ratio_of_units_is_found_however_rare(factor, share, tmp_path):
    path = tmp_path / "a.csv"
    times = [(BEGIN + k) * (factor if k % share == share - 1 else 1) for k in range(1000)]
    path.write_text(text(rows(ids=range(1000), times=times)))
    with pytest.raises(UserError, match="times have more than one unit"):
        load(path)


def test_fractions_and_parquet_are_looked_at_as_well(tmp_path):
    times = [BEGIN + 0.5, BEGIN * 1000.0 + 1, BEGIN + 2.5, BEGIN + 3.5]
    parquet.write_table(
        pa.Table.from_pylist([dict(zip("uit", r, strict=True)) for r in rows(times=times)]), tmp_path / "a.parquet"
    )
    with pytest.raises(UserError, match="times have more than one unit"):
        load(tmp_path / "a.parquet", columns={"user": "u", "item": "i", "time": "t"})


@pytest.mark.parametrize(
    "times",
    [
        [0, 1, 2, 3],
        [0, 10**9, 5 * 10**9, 10**12],
        [-5, -4, 0, 7],
        [k * 10**11 for k in range(4)],
        [20240101, 20240102, 20240103, 20240104],
        [0.5, 1.5, 2.5, 3.5],
    ],
)
def test_clocks_of_their_own_are_no_mixture(times, tmp_path):
    path = tmp_path / "a.csv"
    path.write_text(text(rows(times=times)))
    assert histories(load(path)[0])["u"] == ["a", "b", "c", "d"]


@pytest.mark.parametrize(
    ("times", "words"),
    [
        (["1970-01-02", "2020-01-01", "2020-01-02", "2020-01-03"], "2 of 8 times (25.0%) lie before 1990 or after tomorrow, the first is 1970-01-02 00:00:00 in row 1"),
        (["2020-01-01", "2020-01-02", "2020-01-03", "2199-01-01 10:00:00"], "2 of 8 times (25.0%) lie before 1990 or after tomorrow, the first is 2199-01-01 10:00:00 in row 4"),
        ([BEGIN, BEGIN + 1, BEGIN + 2, 4 * 10**9], "2 of 8 times (25.0%) lie before 1990 or after tomorrow, the first is 4000000000 in row 4"),
        ([0, BEGIN + 1, BEGIN + 2, BEGIN + 3], "2 of 8 times (25.0%) lie before 1990 or after tomorrow, the first is 0 in row 1"),
        ([5, 5, 5, 5], "all times are the same"),
        (["1.70000E+09", "1.70000E+09", "1.70001E+09", "1.70001E+09"], "times such as 1.70000E+09 are rounded, their last 4 digits are lost"),
    ],
)  # fmt: skip
def test_times_that_are_hard_to_believe_are_a_warning(times, words, tmp_path):
    path = tmp_path / "a.csv"
    path.write_text(text(rows(times=times)))
    said = load(path)[1]
    assert len(said) == 1 and said[0].startswith("warning: ") and words in said[0]


def test_nanoseconds_decide_the_order(tmp_path):
    """They once ended in a traceback; cut to microseconds they would be ties."""
    times = [1_700_000_000_123_456_789 + k for k in (3, 2, 1, 0)]
    parts = dict(zip(("user", "item", "time"), zip(*rows(times=times), strict=True), strict=True))
    for kind in (pa.timestamp("ns"), pa.timestamp("ns", "Asia/Tokyo")):
        parquet.write_table(pa.table({**parts, "time": pa.array(parts["time"], kind)}), tmp_path / "a.parquet")
        assert histories(load(tmp_path / "a.parquet")[0])["u"] == ["d", "c", "b", "a"]
    stamps = [f"2023-11-14 22:30:00.12345678{k}" for k in (3, 2, 1, 0)]
    (tmp_path / "a.csv").write_text(text(rows(times=stamps)))
    assert histories(load(tmp_path / "a.csv")[0])["u"] == ["d", "c", "b", "a"]


def test_files_of_different_precision_are_put_in_one_order(tmp_path):
    for k, unit in enumerate(("s", "ns", "ms")):
        table = {
            "user": ["u"],
            "item": [f"{3 - k}"],
            "time": pa.array([(BEGIN + 3 - k)]).cast(pa.timestamp("s")).cast(pa.timestamp(unit)),
        }
        parquet.write_table(pa.table(table), tmp_path / f"{k}.parquet")
    assert histories(load(tmp_path)[0]) == {"u": [1, 2, 3]}
