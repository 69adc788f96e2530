"""Ids of every type of column are texts or integers."""

from __future__ import annotations

import decimal

import pyarrow as pa
import pytest
from pyarrow import parquet

from tests.fame.datasets.files import histories, jsonl, load, rows, text


@pytest.mark.parametrize("ids", [[2**63, 1, 2, 3], [2**64 - 1, 5, 6, 7], [10**30, 1, 2, 3]])
def test_integers_beyond_64_bits_are_texts_in_every_format(ids, tmp_path):
    records = [{"user": u, "item": i, "time": t} for u, i, t in rows(ids=ids)]
    jsonl(tmp_path / "a.jsonl", records)
    (tmp_path / "a.csv").write_text(text(rows(ids=ids)))
    names = ["a.jsonl", "a.csv"]
    if max(ids) < 2**64:
        table = pa.Table.from_pylist([{**r, "item": None} for r in records])
        parquet.write_table(
            table.set_column(1, "item", pa.array([r["item"] for r in records], pa.uint64())), tmp_path / "a.parquet"
        )
        names.append("a.parquet")
    for name in names:
        assert histories(load(tmp_path / name)[0])["u"] == [str(i) for i in ids]


@pytest.mark.parametrize(
    "ids", [[decimal.Decimal(2) ** 90 + k for k in range(4)], [5, 6, 7, 8], ["+5", "0x1f", "1_000", "٣"]]
)
def test_ids_of_other_kinds_come_back(ids, tmp_path):
    kind = pa.decimal256(60, 0) if isinstance(ids[0], decimal.Decimal) else None
    column = pa.array(ids, kind) if kind else pa.array(ids).dictionary_encode()
    parquet.write_table(pa.table({"user": ["u"] * 4, "item": column, "time": [1, 2, 3, 4]}), tmp_path / "a.parquet")
    assert [str(item) for item in histories(load(tmp_path / "a.parquet")[0])["u"]] == [str(i) for i in ids]
