"""Splits: by time, by the last items of each user, and by files; what each leaves, and what is refused."""

from __future__ import annotations

import datetime
import gzip
import itertools
import random
from pathlib import Path

import numpy as np
import pytest

from fame.config import DataConfig, SplitConfig
from fame.config.tree import section_from_dict, to_dict
from fame.datasets import Dataset, load_dataset
from fame.errors import UserError

START = 1_700_000_000
ROWS = [
    (f"u{user:02d}", f"i{random.Random(user * 50 + step).randrange(30):02d}", START + 3600 * (user * 3 + 5 * step))
    for user in range(25)
    for step in range(2 + user % 9)
]


def write(path: Path, rows: list[tuple[str, str, object]]) -> Path:
    path.write_text("user,item,time\n" + "".join(f"{u},{i},{t}\n" for u, i, t in rows), encoding="utf-8")
    return path


def load(path: Path, split: dict[str, object], lines: list[str] | None = None, **changes: object) -> Dataset:
    settings = {"name": "own", "path": str(path), "core": 1, "repeats": "keep", "split": split, **changes}
    report = (lambda line: None) if lines is None else lines.append
    return load_dataset(section_from_dict(DataConfig, settings, "data"), report=report)


def parts(dataset: Dataset) -> dict[str, tuple[list[str], list[str], list[str]]]:
    """Item ids of each user's training, validation and test part."""
    found, ids = {}, dataset.items.ids
    for user, name in enumerate(dataset.user_ids.tolist()):
        begin, end = dataset.sequences.offsets[user : user + 2]
        cuts = [begin, dataset.sequences.validation[user], dataset.sequences.test[user], end]
        found[name] = tuple(ids[dataset.sequences.values[a:b] - 1].tolist() for a, b in itertools.pairwise(cuts))
    return found


def naive_by_time(rows: list[tuple[str, str, int]], first: int, second: int) -> dict[str, tuple[list[str], ...]]:
    found: dict[str, tuple[list[str], ...]] = {}
    for user, item, time in sorted(rows, key=lambda row: row[2]):
        found.setdefault(user, ([], [], []))[(time >= first) + (time >= second)].append(item)
    return found


def test_shares_are_of_all_interactions_in_order_of_time(tmp_path):
    times = sorted(time for *_, time in ROWS)
    first, second = times[int(len(times) * (1 - 0.2 - 0.1))], times[int(len(times) * (1 - 0.1))]
    found = load(write(tmp_path / "a.csv", ROWS), {"by": "time", "validation": 0.2, "test": 0.1}, min_history=1)
    assert parts(found) == naive_by_time(ROWS, first, second)


@pytest.mark.parametrize("unit", [1, 1000, "iso"])
def test_dates_divide_times_of_any_unit(tmp_path, unit):
    def shown(time: int) -> object:
        return datetime.datetime.fromtimestamp(time, datetime.UTC).isoformat() if unit == "iso" else time * unit

    rows = [(user, item, shown(time)) for user, item, time in ROWS]
    lines: list[str] = []
    split = {"by": "time", "validation": "2023-11-16", "test": "2023-11-17 12:00:00"}
    found = load(write(tmp_path / "a.csv", rows), split, lines, min_history=1)
    bounds = [int(datetime.datetime(2023, 11, *at, tzinfo=datetime.UTC).timestamp()) for at in ((16,), (17, 12))]
    assert parts(found) == naive_by_time(ROWS, *bounds)
    assert any("validation from 2023-11-16 00:00:00" in line for line in lines)


def test_users_without_history_and_later_items_are_counted_and_said_each_time(tmp_path):
    rows = [
        ("a", "x", 1), ("a", "y", 2), ("a", "z", 5), ("a", "new", 9),
        ("b", "x", 3), ("b", "y", 6), ("b", "x", 8),
        ("late", "new", 9), ("late", "y", 10), ("later", "x", 6),
    ]  # fmt: skip
    split, seen = {"by": "time", "validation": 5, "test": 8}, []
    for _ in range(2):
        lines: list[str] = []
        found = load(write(tmp_path / "a.csv", rows), split, lines, min_history=1)
        seen.append([line for line in lines if "split" in line or "do not occur" in line])
    assert seen[0] == seen[1]
    assert seen[0] == [
        "own: split by time, validation 5, test 8: 3 interactions for training",
        "own: validation from 5: 3 interactions of 3 users; 1 of the users have no history and are not evaluated; 1 items "
        "(1 interactions) do not occur before",
        "own: test from 8: 4 interactions of 3 users; 1 of the users have no history and are not evaluated; 1 items "
        "(2 interactions) do not occur before",
    ]
    assert found.statistics["split"]["test"]["users_without_history"] == 1


def test_the_last_items_of_each_user(tmp_path):
    found = load(write(tmp_path / "a.csv", ROWS), {"by": "last", "validation": 2, "test": 3})
    whole = load(tmp_path / "a.csv", {}, min_history=6)
    assert found.config.min_history == 6 and len(found.sequences) == len(whole.sequences) > 5
    for user, (training, validation, test) in parts(found).items():
        assert (len(validation), len(test)) == (2, 3)
        assert training + validation + test == [*itertools.chain(*parts(whole)[user])]


def test_files_are_parts_whatever_their_times_say(tmp_path):
    files = {
        "train": [("a", "x", 7), ("a", "y", 6), ("b", "x", 1)],
        "validation": [("a", "z", 3)],
        "test": [("b", "y", 1), ("c", "x", 2), ("a", "w", 0), ("a", "v", 1)],
    }
    for name, rows in files.items():
        write(tmp_path / f"{name}.csv", rows)
    split = {"by": "files", "validation": str(tmp_path / "validation.csv"), "test": str(tmp_path / "test.csv")}
    found = load_dataset(
        section_from_dict(DataConfig, {"path": str(tmp_path / "train.csv"), "split": split}, "data"), report=len
    )
    assert found.config.recipe == "as-given"
    assert parts(found) == {"a": (["y", "x"], ["z"], ["w", "v"]), "b": (["x"], [], ["y"]), "c": ([], [], ["x"])}


def test_the_fingerprint_knows_the_split_and_a_loaded_configuration_loads_the_same(tmp_path):
    path = write(tmp_path / "a.csv", ROWS)
    plain = load(path, {})
    assert load(path, {"by": "last", "validation": 1, "test": 1}).fingerprint == plain.fingerprint
    splits = [{"by": "time"}, {"by": "time", "test": 0.2}, {"by": "last", "validation": 0}]
    found = [load(path, split, min_history=3) for split in splits]
    assert len({plain.fingerprint, *(one.fingerprint for one in found)}) == 4
    for one in found:
        again = load_dataset(section_from_dict(DataConfig, to_dict(one.config), "data"), report=len)
        assert (again.config, again.fingerprint) == (one.config, one.fingerprint)
        assert np.array_equal(again.sequences.test, one.sequences.test)


@pytest.mark.parametrize(
    ("split", "words"),
    [
        ({"by": "day"}, "data.split.by = 'day': must be one of last, time, files"),
        ({"by": "last", "test": 0}, "data.split.test = 0.0: must be a whole number of at least 1"),
        ({"by": "last", "validation": 1.5}, "data.split.validation = 1.5: must be a whole number of at least 0"),
        ({"by": "last", "validation": "one"}, "data.split.validation = 'one': must be a whole number"),
        ({"by": "time", "test": -0.1}, "data.split.test = -0.1: must be a share"),
        ({"by": "time", "validation": 0.6, "test": 0.4}, "data.split = 1.0: the shares leave nothing for training"),
        ({"by": "time", "test": "soon"}, "data.split.test = 'soon': must be a date such as 2024-01-05"),
        ({"by": "time", "test": "1999-01-01"}, "leave 0, 0 and 137 interactions for training"),
        (
            {"by": "time", "validation": "2023-11-19", "test": "2023-11-16"},
            "the data reach from 2023-11-15 01:13:20 to",
        ),
        ({"by": "files"}, "data.split.test = None: must name a file"),
        ({"by": "files", "test": "gone.csv"}, "gone.csv"),
    ],
)
def test_a_split_that_cannot_be_is_one_line(tmp_path, split, words):
    with pytest.raises(UserError) as caught:
        load(write(tmp_path / "a.csv", ROWS), split, min_history=None)
    assert words in str(caught.value) and "\n" not in str(caught.value)


def test_histories_without_times_cannot_be_split_by_time(tmp_path):
    with pytest.raises(UserError, match=r"synthetic has no times, only the order of each history"):
        load_dataset(DataConfig(name="synthetic", split=SplitConfig(by="time")), report=len)
    path = tmp_path / "a.csv"
    path.write_text("user,item\n" + "".join(f"{user},[1 2 3 4 {user}]\n" for user in range(5, 9)))
    with pytest.raises(UserError, match=r"has no times, only the order"):
        load(path, {"by": "time"})


def test_prepared_files_are_split_by_their_timestamps_if_they_have_any(tmp_path):
    """`position` is the order of a history there; the times of `timestamp` may be missing."""
    for name, shown in {"full": str, "empty": lambda time: ""}.items():
        lines = [f"{user},{step},{step},{shown(START + 100 * step)}" for user in range(6) for step in range(10)]
        folder = tmp_path / name / "beauty"
        folder.mkdir(parents=True)
        with gzip.open(folder / "interactions.csv.gz", "wt") as stream:
            stream.write("user_id,item_id,position,timestamp\n" + "\n".join(lines) + "\n")
    split = SplitConfig(by="time", validation=0.2, test=0.1)
    found = load_dataset(DataConfig(name="beauty", dir=str(tmp_path / "full"), core=1, split=split), report=len)
    assert set(parts(found)[0][1]) == {7, 8} and parts(found)[5][2] == [9]
    with pytest.raises(UserError, match=r"beauty has no times, only the order of each history"):
        load_dataset(DataConfig(name="beauty", dir=str(tmp_path / "empty"), core=1, split=split), report=len)
