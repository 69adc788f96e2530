"""A condition sees the columns of one row, and nothing else."""

from __future__ import annotations

import pyarrow as pa
import pytest
from pyarrow import parquet

from fame.errors import UserError
from tests.fame.datasets.files import jsonl, load, rows, text


@pytest.mark.parametrize(
    ("where", "actions"),
    [
        ("event = 'buy'", 9),
        ("event = 'buy' OR price > 2.5", 13),
        ("price BETWEEN 0 AND 2 AND event <> 'view'", 5),
        ("\"event\" LIKE 'b%' -- a comment", 9),
        ("user = 'u'", 9),
    ],
)
def test_rows_that_a_condition_keeps(where, actions, tmp_path):
    records = [
        {"user": u, "item": i, "time": t, "event": ("buy", "view")[k % 2], "price": k % 4 + 0.5, "code": "007"}
        for k, (u, i, t) in enumerate(rows(ids="abcdefghi"))
    ]
    jsonl(tmp_path / "a.jsonl", records)
    parquet.write_table(pa.Table.from_pylist(records), tmp_path / "a.parquet")
    names = list(records[0])
    (tmp_path / "a.csv").write_text(text([tuple(r.values()) for r in records], header=",".join(names)))
    for name in ("a.jsonl", "a.parquet", "a.csv"):
        dataset, said = load(tmp_path / name, where=f"({where}\n) and code = '007'")
        assert dataset.statistics["steps"][0]["actions"] == actions
        assert said[0] == f"own: {actions} of 18 rows kept where ({where} ) and code = '007'"


@pytest.mark.parametrize("where", ["(SELECT 1) = 1", "1; DROP TABLE x", "count(*) > 1", "read_text('/etc/passwd') = ''", "nonsense = 1", "", "user", "'", ")", "sum(price) OVER () > 1"])  # fmt: skip
def test_a_condition_sees_one_row_and_no_file(where, tmp_path):
    (tmp_path / "a.csv").write_text(text(rows()))
    with pytest.raises(UserError, match=r"data\.where = ") as caught:
        load(tmp_path / "a.csv", where=where)
    assert "\n" not in str(caught.value)


def test_a_condition_on_a_column_that_holds_numbers_in_some_files_only(tmp_path):
    (tmp_path / "d").mkdir()
    for k, code in enumerate(("7", "x", "")):
        lines = [(u, f"{i}{k}", t, code) for u, i, t in rows()]
        (tmp_path / "d" / f"{k}.csv").write_text(text(lines, header="user,item,time,code"))
    for where, kept in (("code = 'x'", 8), ("code = '7'", 8), ("code IS NULL", 8), ("code <> 'y'", 16)):
        dataset, said = load(tmp_path / "d", where=where)
        assert dataset.statistics["actions"] == kept and f"{kept} of 24 rows kept" in said[-1]


@pytest.mark.parametrize("where", ["random() < 0.5", "uuid() <> user"])
def test_a_condition_that_changes_from_one_time_to_the_next_is_refused(where, tmp_path):
    (tmp_path / "a.csv").write_text(text(rows()))
    with pytest.raises(UserError, match="is not possible in it"):
        load(tmp_path / "a.csv", where=where)
