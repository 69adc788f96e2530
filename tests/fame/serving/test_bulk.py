"""Recommending to many users: one table, the same rows as user by user, and a killed run goes on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import csv, parquet

from fame import recommend, train
from fame.serving import bulk
from fame.serving.histories import Histories, read_histories, write_histories
from fame.serving.recommender import Recommender, load_recommender
from fame.serving.request import Request
from tests.commands import Done, call, write_config, write_lines

ITEMS = [f"{number:03d}" for number in range(1, 13)]
USERS = {f"u{user:02d}": [ITEMS[(user + step) % 12] for step in range(5 + user % 4)] for user in range(20)}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of own data, whose data are gone."""
    work = tmp_path_factory.mktemp("bulk")
    rows = [f"{user},{item},{time}" for user, items in USERS.items() for time, item in enumerate(items)]
    write_lines(work / "clicks.csv", "user,item,time", *rows)
    write_lines(work / "items.csv", "item,title,kind", *(f"{item},Title {item},{int(item) % 3}" for item in ITEMS))
    config = write_config(work / "c.yaml", data={"max_length": 6, "core": 1})
    files = ["--data", work / "clicks.csv", "--items", work / "items.csv", "--dataset", "clicks"]
    settings = ["--set", "data.max_length=6", "--set", "data.core=1"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FAME_DATA", str(work / "cache"))
        assert call(train.main, "--config", config, *files, *settings, "--output", work / "out").code == 0
    for name in ("clicks.csv", "items.csv"):
        (work / name).unlink()
    return work / "out" / "best"


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(bulk, "PART", 6)
    monkeypatch.setenv("FAME_DATA", str(tmp_path / "cache"))


def ask(folder: Path, *args: object) -> Done:
    return call(recommend.main, "--model", folder, *args)


def expected(recommender: Recommender, users: dict[str, list[str]], **fields: object) -> list[tuple]:
    """Rows by `Recommender.recommend`."""
    answers = recommender.recommend([Request(history=items, **fields) for items in users.values()])
    return [
        (user, rank, item.id, item.title, item.score)
        for user, answer in zip(users, answers, strict=True)
        for rank, item in enumerate(answer.items, start=1)
    ]


def rows(table: pa.Table) -> list[tuple]:
    return [tuple(row.values()) for row in table.to_pylist()]


def same(found: list[tuple], wanted: list[tuple]) -> bool:
    assert [row[:4] for row in found] == [row[:4] for row in wanted]
    return [row[4] for row in found] == pytest.approx([row[4] for row in wanted], abs=1e-4)


def test_all_users_get_what_each_would_alone(folder, tmp_path):
    done = ask(folder, "--all-users", "--out", tmp_path / "recs.parquet", "--top", 4)
    assert done.code == 0, done.err
    table = parquet.read_table(tmp_path / "recs.parquet")
    assert same(rows(table), expected(load_recommender(folder), USERS, top=4))
    assert table.schema.names == ["user", "rank", "item", "title", "score"]
    assert "20 users, 12 items, top 4, here; → " in done.out and "80 rows in " in done.out
    assert {path.name for path in tmp_path.iterdir()} == {"recs.parquet"}


def test_filters_hold_for_everybody_and_csv_has_the_same_rows(folder, tmp_path):
    options = ["--filter", "kind=1", "--exclude", "001", "--seen", "--top", 5]
    for name in ("recs.parquet", "recs.csv"):
        assert ask(folder, "--all-users", "--out", tmp_path / name, *options).code == 0
    wanted = expected(load_recommender(folder), USERS, top=5, where={"kind": ["1"]}, exclude=["001"], seen=True)
    assert len(wanted) == 20 * 3
    assert same(rows(parquet.read_table(tmp_path / "recs.parquet")), wanted)
    texts = csv.ConvertOptions(column_types={"item": pa.string()})
    assert same(rows(csv.read_csv(tmp_path / "recs.csv", convert_options=texts)), wanted)


def test_work_that_was_interrupted_goes_on_and_other_work_starts_anew(folder, tmp_path):
    recommender = load_recommender(folder)
    job = bulk.Job(folder=folder, histories=recommender.users, request=Request(top=3))
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

    other = bulk.Job(folder=folder, histories=recommender.users, request=Request(top=2))
    with pytest.raises(KeyboardInterrupt):
        bulk.write_recommendations(job, out, engine(2), lines.append, users.append)
    computed.clear()
    assert bulk.write_recommendations(other, out, engine(-1), lines.append, users.append) == 40
    assert computed == [0, 1, 2, 3]


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_histories_of_anybody_in_any_form(suffix, folder, tmp_path):
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
    done = ask(folder, "--histories", path, "--out", tmp_path / "recs.parquet", "--top", 3)
    assert done.code == 0, done.err
    found = rows(parquet.read_table(tmp_path / "recs.parquet"))
    assert same([row for row in found if row[4] is not None], expected(load_recommender(folder), theirs, top=3)[:3] +
                expected(load_recommender(folder), {"u01": ["012", "001"]}, top=3))  # fmt: skip
    assert [row[:3] for row in found if row[4] is None] == [
        row[:3] for row in expected(load_recommender(folder), {"strange": []}, top=3)
    ]
    assert "2 of 6 interactions are with items unknown to the model: left out" in done.err
    assert "1 of 3 users have no known item" in done.err


@pytest.mark.parametrize("lines", [["u03", "u01", "stranger"], ["user_id,age", "u03,7", "u01,8", "stranger,9"]])
def test_chosen_users(lines, folder, tmp_path):
    write_lines(tmp_path / "users.csv", *lines)
    done = ask(folder, "--users", tmp_path / "users.csv", "--out", tmp_path / "recs.parquet", "--top", 2)
    assert done.code == 0, done.err
    assert "1 of 3 users are unknown to the model: left out" in done.err
    two = {user: USERS[user] for user in ("u01", "u03")}
    assert same(rows(parquet.read_table(tmp_path / "recs.parquet")), expected(load_recommender(folder), two, top=2))


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
def test_what_cannot_be_done_is_one_line(args, words, folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_lines(tmp_path / "strangers.csv", "a", "b")
    write_lines(tmp_path / "table.csv", "who,what", "a,b")
    done = ask(folder, *args)
    assert (done.code, done.out) == (2, "")
    assert words in done.err and done.err.splitlines()[-1].startswith("error: ")
    assert not list(tmp_path.glob("*r.csv*")) and not list(tmp_path.glob("recs*"))


@pytest.mark.parametrize("ids", [np.array([-2, 5, 9]), np.array(["", "ä", "zebra"])])
def test_histories_are_read_back_as_they_were(ids, tmp_path):
    histories = Histories(ids=ids, values=np.array([3, 1, 2, 2], np.int32), offsets=np.array([0, 2, 2, 4]))
    write_histories(tmp_path / "users.safetensors", histories)
    found = read_histories(tmp_path / "users.safetensors", 3)
    assert np.array_equal(found.ids, ids) and [row.tolist() for row in found] == [[3, 1], [], [2, 2]]
    assert [row.tolist() for row in found.of([2, 0])] == [[3, 1], [2, 2]]
    assert [row.tolist() for row in found.part(1, 3)] == [[], [2, 2]]
    with pytest.raises(
        ValueError, match=r"is damaged .its parts do not fit together.; export the model again, or remove"
    ):
        read_histories(tmp_path / "users.safetensors", 2)
