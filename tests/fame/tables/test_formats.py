"""The format of a file: by its suffix, else by its first bytes."""

from __future__ import annotations

import gzip
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from fame.errors import UserError
from fame.tables.formats import open_table
from fame.tables.places import find_files
from tests.fame.datasets.files import jsonl, rows, text

RECORDS = [{"user": user, "item": item, "time": time} for user, item, time in rows()]


def columns_of(path: Path) -> list[str]:
    return open_table(find_files("--data", str(path)), "--data").columns


def files_in(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.is_file()]


def test_the_suffix_says_the_format(tmp_path):
    (tmp_path / "a.tsv").write_text(text(rows()).replace(",", "\t"))
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(text(rows()).encode()))
    jsonl(tmp_path / "a.ndjson", RECORDS)
    parquet.write_table(pa.Table.from_pylist(RECORDS), tmp_path / "a.pq")
    assert all(columns_of(path) == ["user", "item", "time"] for path in files_in(tmp_path))


def test_without_a_suffix_the_first_bytes_do(tmp_path):
    (tmp_path / "text").write_text(text(rows()))
    jsonl(tmp_path / "json", RECORDS)
    parquet.write_table(pa.Table.from_pylist(RECORDS), tmp_path / "parquet")
    assert all(columns_of(path) == ["user", "item", "time"] for path in files_in(tmp_path))


def test_an_unknown_suffix_and_several_formats(tmp_path):
    (tmp_path / "a.xlsx").write_text("x")
    with pytest.raises(UserError, match=r"suffix \.xlsx names no known format; use one of \.csv"):
        columns_of(tmp_path / "a.xlsx")
    (tmp_path / "mixed").mkdir()
    (tmp_path / "mixed" / "a.csv").write_text(text(rows()))
    jsonl(tmp_path / "mixed" / "b.jsonl", RECORDS)
    with pytest.raises(UserError, match=r"files of different formats: .csv, .jsonl; give one format"):
        columns_of(tmp_path / "mixed")
