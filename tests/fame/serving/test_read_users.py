"""Users and histories from files of any form."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from fame.serving import bulk
from fame.serving.recommender import load_recommender
from tests.commands import write_lines
from tests.fame.serving.many_users import USERS, ask, expected, rows, same


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(bulk, "PART", 6)
    monkeypatch.setenv("FAME_DATA", str(tmp_path / "cache"))


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_histories_of_anybody_in_any_form(suffix, dataless, tmp_path):
    theirs = {"new": ["003", "004"], "strange": ["nothing known"], "u01": ["012", "nothing known", "001"]}
    lists = pa.table(
        {"user": list(theirs), "item": list(theirs.values()), "time": [[*range(len(v))] for v in theirs.values()]}
    )
    path = tmp_path / f"mine.{suffix}"
    flat = [(user, item, time) for user, items in theirs.items() for time, item in enumerate(items)]
    if suffix == "parquet":
        parquet.write_table(lists, path)
    elif suffix == "csv":
        write_lines(path, "user,item,time", *(f"{user},{item},{time}" for user, item, time in flat))
    else:
        write_lines(path, *(f'{{"user": "{u}", "item": "{i}", "time": {t}}}' for u, i, t in flat))
    done = ask(dataless, "--histories", path, "--out", tmp_path / "recs.parquet", "--top", 3)
    assert done.code == 0, done.err
    found = rows(parquet.read_table(tmp_path / "recs.parquet"))
    assert same([row for row in found if row[4] is not None], expected(load_recommender(dataless), theirs, top=3)[:3] +
                expected(load_recommender(dataless), {"u01": ["012", "001"]}, top=3))  # fmt: skip
    assert [row[:3] for row in found if row[4] is None] == [
        row[:3] for row in expected(load_recommender(dataless), {"strange": []}, top=3)
    ]
    assert "2 of 6 interactions are with items unknown to the model: left out" in done.err
    assert "1 of 3 users have no known item" in done.err


@pytest.mark.parametrize("lines", [["u03", "u01", "stranger"], ["user_id,age", "u03,7", "u01,8", "stranger,9"]])
def test_chosen_users(lines, dataless, tmp_path):
    write_lines(tmp_path / "users.csv", *lines)
    done = ask(dataless, "--users", tmp_path / "users.csv", "--out", tmp_path / "recs.parquet", "--top", 2)
    assert done.code == 0, done.err
    assert "1 of 3 users are unknown to the model: left out" in done.err
    two = {user: USERS[user] for user in ("u01", "u03")}
    assert same(rows(parquet.read_table(tmp_path / "recs.parquet")), expected(load_recommender(dataless), two, top=2))
