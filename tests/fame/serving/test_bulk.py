"""Recommending to many users: one table, the same rows as user by user, and a killed run goes on."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import csv, parquet

from fame.serving import bulk
from fame.serving.recommender import load_recommender
from fame.serving.request import Request
from tests.commands import write_lines
from tests.fame.serving.many_users import USERS, ask, expected, rows, same

POLICY = "OMP_WAIT_POLICY"


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(bulk, "PART", 6)
    monkeypatch.setenv("FAME_DATA", str(tmp_path / "cache"))


def test_all_users_get_what_each_would_alone(dataless, tmp_path):
    done = ask(dataless, "--all-users", "--out", tmp_path / "recs.parquet", "--top", 4)
    assert done.code == 0, done.err
    table = parquet.read_table(tmp_path / "recs.parquet")
    assert same(rows(table), expected(load_recommender(dataless), USERS, top=4))
    assert table.schema.names == ["user", "rank", "item", "title", "score"]
    assert "20 users, 12 items, top 4, here; → " in done.out and "80 rows in " in done.out
    assert {path.name for path in tmp_path.iterdir()} == {"recs.parquet"}


def test_threads_sleep_between_the_products_for_many_users_alone(dataless, tmp_path, monkeypatch):
    monkeypatch.setenv(POLICY, "")  # so that it is as before afterwards
    many = ("--all-users", "--out", tmp_path / "recs.parquet")
    for options, policy in ((("--history", "001"), None), (many, "PASSIVE")):
        del os.environ[POLICY]
        assert ask(dataless, *options).code == 0
        assert os.environ.setdefault(POLICY, "") == (policy or "")
    monkeypatch.setenv(POLICY, "ACTIVE")
    assert ask(dataless, *many).code == 0 and os.environ[POLICY] == "ACTIVE"


def test_filters_hold_for_everybody_and_csv_has_the_same_rows(dataless, tmp_path):
    options = ["--filter", "kind=1", "--exclude", "001", "--seen", "--top", 5]
    for name in ("recs.parquet", "recs.csv"):
        assert ask(dataless, "--all-users", "--out", tmp_path / name, *options).code == 0
    wanted = expected(load_recommender(dataless), USERS, top=5, where={"kind": ["1"]}, exclude=["001"], seen=True)
    assert len(wanted) == 20 * 3
    assert same(rows(parquet.read_table(tmp_path / "recs.parquet")), wanted)
    texts = csv.ConvertOptions(column_types={"item": pa.string()})
    assert same(rows(csv.read_csv(tmp_path / "recs.csv", convert_options=texts)), wanted)


def test_work_that_was_interrupted_goes_on_and_other_work_starts_anew(dataless, tmp_path):
    recommender = load_recommender(dataless)
    job = bulk.Job(folder=dataless, histories=recommender.users, request=Request(top=3))
    out, computed, lines = tmp_path / "recs.parquet", [], []

    def engine(stop: int) -> bulk.Engine:
        def parts(job: bulk.Job, numbers: list[int]) -> Iterator[tuple[int, pa.Table]]:
            for number, table in bulk.here(job, numbers, recommender):
                if number == stop:
                    raise KeyboardInterrupt
                computed.append(number)
                yield number, table

        return parts

    users = []
    with pytest.raises(KeyboardInterrupt):
        bulk.write_recommendations(job, out, engine(2), lines.append, users.append)
    assert not out.exists() and computed == [0, 1] and sum(users) == 12
    assert bulk.write_recommendations(job, out, engine(-1), lines.append, users.append) == 60
    assert computed == [0, 1, 2, 3] and lines == ["2 of 4 parts were done before"]
    assert same(rows(parquet.read_table(out)), expected(recommender, USERS, top=3))

    other = bulk.Job(folder=dataless, histories=recommender.users, request=Request(top=2))
    with pytest.raises(KeyboardInterrupt):
        bulk.write_recommendations(job, out, engine(2), lines.append, users.append)
    computed.clear()
    assert bulk.write_recommendations(other, out, engine(-1), lines.append, users.append) == 40
    assert computed == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["--all-users"], "where to? Recommendations for many users go to a file: add --out recs.parquet"),
        (["--all-users", "--out", "recs.xlsx"], "--out recs.xlsx: the name must end in .parquet or .csv"),
        (["--user", "u01", "--out", "recs.csv"], "--out recs.csv: needs --all-users, --users or --histories"),
        (["--user", "u01", "--address", "auto"], "--address auto: needs --all-users, --users or --histories"),
        (
            ["--all-users", "--out", "r.csv", "--separator", ";"],
            "--separator: says how to read --users, --histories or --items",
        ),
        (["--users", "none.csv", "--out", "r.csv"], "no such file: "),
        (
            ["--users", "strangers.csv", "--out", "r.csv"],
            "--users strangers.csv: the model knows none of its 2 users; its",
        ),
        (
            ["--users", "table.csv", "--out", "r.csv"],
            "--users table.csv: which column is the user? Add --columns user=NAME",
        ),
        (["--histories", "table.csv", "--out", "r.csv"], "which column is the user? Name it with --columns"),
        (["--user", "u01", "--filter", "kind"], "--filter 'kind': must look like COLUMN=LABEL"),
        (["--user", "u01", "--filter", "kind>=x"], "--filter 'kind>=x': 'x' is not a number"),
        (["--user", "u01", "--filter", "kind=7"], "--filter kind=7: no item has it; known: 0, 1, 2"),
        (
            ["--user", "u01", "--filter", "kin=7"],
            "where kin = ['7']: the items have no such column; did you mean 'kind'?",
        ),
        (["--user", "u01", "--min-score", "nan"], "min_score = nan: must be a number"),
    ],
)
def test_what_cannot_be_done_is_one_line(args, words, dataless, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_lines(tmp_path / "strangers.csv", "a", "b")
    write_lines(tmp_path / "table.csv", "who,what", "a,b")
    done = ask(dataless, *args)
    assert (done.code, done.out) == (2, "")
    assert words in done.err and done.err.splitlines()[-1].startswith("error: ")
    assert not list(tmp_path.glob("*r.csv*")) and not list(tmp_path.glob("recs*"))
