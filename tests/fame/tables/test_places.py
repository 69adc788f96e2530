"""Files, folders, globs and partitions."""

from __future__ import annotations

import pyarrow as pa
import pytest
from pyarrow import parquet

from fame.errors import UserError
from tests.fame.datasets.files import histories, load, rows, text


def test_folders_that_cannot_be_used(tmp_path):
    with pytest.raises(UserError, match=r"no such file: .*; no file matches it"):
        load(tmp_path / "*.parquet")
    (tmp_path / "two").mkdir()
    (tmp_path / "two" / "a.csv").write_text(text(rows()))
    (tmp_path / "two" / "b.csv").write_text(text([(u, t) for u, _, t in rows()], header="user,time"))
    with pytest.raises(UserError, match=r"b.csv has no column 'item' \(item\), unlike .*a.csv"):
        load(tmp_path / "two")
    (tmp_path / "two" / "b.csv").write_text(text([*rows(), ("u", "", 5)]))
    with pytest.raises(UserError, match=r"item id in row 9 of .*b.csv is missing"):
        load(tmp_path / "two")


def test_a_comma_in_the_name_of_a_file(tmp_path):
    (tmp_path / "a,b.csv").write_text(text(rows()))
    assert load(tmp_path / "a,b.csv")[0].statistics["actions"] == 8


def test_a_partition_can_be_the_time(tmp_path):
    folder = tmp_path / "events"
    for day, item in (("2024-01-07", "c"), ("2024-01-05", "a"), ("2024-01-06", "b")):
        (folder / f"date={day}").mkdir(parents=True)
        parquet.write_table(pa.table({"user": ["u"], "item": [item]}), folder / f"date={day}" / "0.parquet")
    assert histories(load(folder)[0]) == {"u": ["a", "b", "c"]}
    with pytest.raises(UserError, match="no interactions where date > '2025'"):
        load(folder, where="date > '2025'")


def test_no_file(tmp_path):
    with pytest.raises(UserError, match=r"no such file: .*gone\.csv"):
        load(tmp_path / "gone.csv")
    with pytest.raises(UserError, match=r"holds no files"):
        load(tmp_path)
