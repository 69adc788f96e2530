"""Parquet: ids of every type, and columns of one name."""

from __future__ import annotations

import uuid

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from fame.errors import UserError
from tests.fame.datasets.files import ABCD, histories, load
from tests.fame.datasets.forms import write_table


def test_uuids_and_bytes_are_ids(tmp_path):
    ids = [uuid.UUID(int=k + 2**100) for k in range(4)]
    table = {"user": pa.array([i.bytes for i in ids] * 4, pa.uuid()), "item": np.repeat([b"a", b"\xff\xfe", b"b", b"c"], 4).tolist(),
             "time": list(range(16))}  # fmt: skip
    dataset, _ = load(write_table(tmp_path / "a.parquet", table))
    assert dataset.user_ids.tolist() == [str(i) for i in ids]
    assert dataset.items.ids.tolist() == ["0xfffe", "a", "b", "c"]
    import duckdb  # writes UUIDs as other programs do, without Arrow's schema

    path = tmp_path / "b.parquet"
    rows = (
        "SELECT u.u AS user, i AS item, i AS time FROM (VALUES "
        + ",".join(f"('{i}'::UUID)" for i in ids)
        + ") u(u), range(4) t(i)"
    )
    duckdb.sql(rows).write_parquet(str(path))
    assert load(str(path))[0].user_ids.tolist() == [str(i) for i in ids]


def test_columns_of_one_name_in_parquet_are_chosen_by_number(tmp_path):
    columns = [pa.array(["u"] * 4), pa.array(["x"] * 4), pa.array(ABCD), pa.array([1, 2, 3, 4])]
    table = pa.Table.from_arrays(columns, names=["user", "item", "item", "time"])
    parquet.write_table(table, tmp_path / "a.parquet")
    with pytest.raises(UserError, match=r"more than one column is named 'item'; choose one by its number"):
        load(tmp_path / "a.parquet")
    assert histories(load(tmp_path / "a.parquet", columns={"item": "3"})[0]) == {"u": ABCD}
