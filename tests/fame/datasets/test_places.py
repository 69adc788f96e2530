"""Files, folders, globs and partitions."""

from __future__ import annotations

import pyarrow as pa
import pytest
from pyarrow import parquet

from fame.errors import UserError
from tests.fame.datasets.files import dataset_of, histories, jsonl, load, rows, text


def test_folders_that_cannot_be_used(tmp_path):
    (tmp_path / "mixed").mkdir()
    (tmp_path / "mixed" / "a.csv").write_text(text(rows()))
    jsonl(tmp_path / "mixed" / "b.jsonl", [{"user": 1}])
    with pytest.raises(UserError, match=r"files of different formats: .csv, .jsonl; give one format"):
        load(tmp_path / "mixed")
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


def test_no_file_or_no_format(tmp_path, write):
    with pytest.raises(UserError, match=r"no such file: .*gone\.csv"):
        dataset_of(str(tmp_path / "gone.csv"))
    with pytest.raises(UserError, match=r"holds no files"):
        dataset_of(str(tmp_path))
    with pytest.raises(UserError, match=r"suffix \.xlsx names no known format"):
        dataset_of(write("a.xlsx", "x"))
    with pytest.raises(UserError, match=r"more than one column is named 'item'"):
        dataset_of(write("twice.csv", "user,item,item,time", "1,2,3,4"))
