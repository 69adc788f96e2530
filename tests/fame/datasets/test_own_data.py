"""Own files of every format give the same dataset; every unusable one gives one clear line."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import random
from pathlib import Path

import numpy as np
import pytest

from fame.config import DataConfig
from fame.datasets import load_dataset
from fame.datasets.items import Items, TextColumn
from fame.errors import UserError

ROWS = [
    (f"u{user}", f"{item:03d}", 1_000 + 7 * item + user, 1 + item % 5) for user in range(4) for item in (5, 2, 9, 7)
]
COLUMNS = {"user": "who", "item": "what", "time": "when", "rating": "stars"}


def load(path: str, **changes):
    return load_dataset(DataConfig(**{"name": "own", "path": path, "core": 1, **changes}), report=lambda line: None)


def text(delimiter: str) -> bytes:
    lines = [COLUMNS.values(), *ROWS]
    return "".join(delimiter.join(map(str, line)) + "\n" for line in lines).encode()


def write_parquet(path: Path) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    parquet.write_table(
        pa.table({n: list(v) for n, v in zip(COLUMNS.values(), zip(*ROWS, strict=True), strict=True)}), path
    )


JSON = "".join(json.dumps(dict(zip(COLUMNS.values(), row, strict=True))) + "\n" for row in ROWS).encode()
WRITERS = {
    "a.csv": lambda path: path.write_bytes(text(",")),
    "a.tsv": lambda path: path.write_bytes(text("\t")),
    "a.csv.gz": lambda path: path.write_bytes(gzip.compress(text(","))),
    "bom.csv": lambda path: path.write_bytes(b"\xef\xbb\xbf" + text(",")),
    "crlf.csv": lambda path: path.write_bytes(text(",").replace(b"\n", b"\r\n")),
    "a.parquet": write_parquet,
    "a.jsonl": lambda path: path.write_bytes(JSON),
    "a.jsonl.gz": lambda path: path.write_bytes(gzip.compress(JSON)),
}


@pytest.mark.parametrize("name", WRITERS)
def test_every_format_reads_the_same(name, tmp_path):
    WRITERS[name](tmp_path / name)
    dataset = load(str(tmp_path / name), columns=COLUMNS)
    assert dataset.user_ids.tolist() == ["u0", "u1", "u2", "u3"]
    assert dataset.items.ids.tolist() == ["002", "005", "007", "009"]
    assert [dataset.sequences[u].tolist() for u in range(4)] == [[1, 2, 3, 4]] * 4
    content = np.array([1, 2, 3, 4] * 4, "<i4").tobytes() + np.array([0, 4, 8, 12, 16], "<i8").tobytes()
    content += b"U4:002\x00005\x00007\x00009" + b"U4:u0\0u1\0u2\0u3"
    assert dataset.fingerprint == hashlib.sha256(content).hexdigest()[:16]
    rated = load(str(tmp_path / name), columns=COLUMNS, min_rating=2.5)
    assert rated.items.ids.tolist() == ["002", "007", "009"]


def test_usual_column_names_need_no_columns(write):
    path = write("a.csv", "rating,movieId,timestamp,userId", *(f"5,{i},{9 - i},1" for i in range(4)))
    dataset = load(path)
    assert dataset.items.ids[dataset.sequences[0] - 1].tolist() == [3, 2, 1, 0]


def test_quoted_values_may_hold_delimiters_and_newlines(write):
    path = write("a.csv", "user,review,item,time", *(f'1,"so, ""good""\nreally",{i},{i}' for i in range(3)))
    assert load(path).sequences[0].tolist() == [1, 2, 3]


def test_repeats_are_dropped_unless_kept(write):
    path = write("a.csv", "user,item,time", *(f"1,{i % 4},{i}" for i in range(8)))
    assert load(path).sequences[0].tolist() == [1, 2, 3, 4]
    assert load(path, repeats="keep").sequences[0].tolist() == [1, 2, 3, 4] * 2


def own(write, *lines: str, name: str = "a.csv") -> str:
    return write(name, "user,item,time", *lines)


GOOD = [f"1,{i},{i}" for i in range(3)]


def test_items_file_covers_a_part(write):
    lines: list[str] = []
    items = write("items.csv", "item,title,brand", "0,Zero,A", "2,,B")
    config = DataConfig(name="own", path=own(write, *GOOD), items=items, core=1)
    load_dataset(config)
    dataset = load_dataset(config, report=lines.append)  # prepared already: the warning comes all the same
    assert [line for line in lines if "warning" in line] == [
        f"warning: {items} covers 2 of 3 items (66.7%); the others have no text"
    ]
    assert list(dataset.items.columns["brand"]) == ["A", "", "B"]
    assert [dataset.items.title(n) for n in (1, 2, 3)] == ["Zero", "1", "B (2)"]


def test_items_file_of_other_items_or_without_ids(write):
    with pytest.raises(UserError, match=r"names none of the 3 items: .*; check its id column"):
        load(own(write, *GOOD), items=write("items.csv", "id,title", "x,X"))
    with pytest.raises(UserError, match=r"no item id column .*columns there: sku, title"):
        load(own(write, *GOOD), items=write("other.csv", "sku,title", "0,X"))
    with pytest.raises(UserError, match=r"no such file: .*gone\.csv"):
        load(own(write, *GOOD), items=str(Path(own(write, *GOOD)).parent / "gone.csv"))


def test_users_that_cannot_be_split_are_reported(write):
    lines: list[str] = []
    path = own(write, *GOOD, "2,0,0")
    dataset = load_dataset(DataConfig(name="own", path=path, core=1), report=lines.append)
    assert dataset.statistics["users"] == 1
    assert lines == ["own: 1 of 2 users left out by: users with ≥ 3"]


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ([*GOOD, "2,0,0x"], "time '0x' in row 4 is not a number"),
        ([*GOOD, "2,,0"], "item id in row 4 is missing"),
        ([*GOOD, "nan,1,0"], "user id in row 4 is missing"),
        ([*GOOD, "2,NULL,0"], "item id in row 4 is missing"),
        ([*GOOD, "2,1"], "Expected 3 columns, got 2"),
        (["1,1,1"], "data.min_history = 3 leaves nothing of own: before it there were 1 users"),
        ([], "has no interactions"),
    ],
)
def test_unusable_rows(lines, words, write):
    with pytest.raises(UserError, match=words) as caught:
        load(own(write, *lines))
    assert "\n" not in str(caught.value)


def test_nothing_left_after_the_core(write):
    with pytest.raises(UserError, match=r"data.core = 5 leaves nothing of own: before it there were 1 users, 3 items"):
        load(own(write, *GOOD), core=5)


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"user": "person"}, "has no column 'person' .user.; columns there: user, item, when"),
        ({"users": "user"}, "unknown role 'users'; the roles are user, item, time, rating"),
        ({}, "which column is the time. Name it with --columns time=NAME; columns there: user, item, when"),
        ({"time": "user"}, "which column is the user"),
        ({"time": "item", "item": "item"}, "the same column is used twice"),
    ],
)
def test_unusable_columns(columns, words, write):
    with pytest.raises(UserError, match=words):
        load(write("a.csv", "user,item,when", *GOOD), columns=columns)


def test_a_rating_filter_needs_ratings(write):
    with pytest.raises(UserError, match=r"data.min_rating needs ratings, and .* has none"):
        load(own(write, *GOOD), min_rating=2.0)


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.csv.gz", "a.parquet", "a.jsonl", "a.jsonl.gz"])
@pytest.mark.parametrize("size", [0, 100, 10_000_000])
def test_random_bytes(name, size, tmp_path):
    path = tmp_path / name
    path.write_bytes(random.Random(size).randbytes(size))
    with pytest.raises(UserError, match=name) as caught:
        load(str(path), columns={"user": "user", "item": "item", "time": "time"})
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 700
    assert str(caught.value).isprintable()


def test_random_lines_of_text(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes(b"user,item,time\n" + random.Random(0).randbytes(1_000_000))
    with pytest.raises(UserError, match=r"a.csv"):
        load(str(path))


def test_truncated_gzip(tmp_path):
    path = tmp_path / "a.csv.gz"
    path.write_bytes(gzip.compress(b"user,item,time\n" + os.urandom(300_000).hex().encode())[:-1000])
    with pytest.raises(UserError, match=r"cannot read .*a.csv.gz as CSV"):
        load(str(path))


def test_no_file_or_no_format(tmp_path, write):
    with pytest.raises(UserError, match=r"no such file: .*gone\.csv"):
        load(str(tmp_path / "gone.csv"))
    with pytest.raises(UserError, match=r"holds no files"):
        load(str(tmp_path))
    with pytest.raises(UserError, match=r"suffix \.xlsx names no known format"):
        load(write("a.xlsx", "x"))
    with pytest.raises(UserError, match=r"more than one column is named 'item'"):
        load(write("twice.csv", "user,item,item,time", "1,2,3,4"))


def test_settings_that_own_data_does_not_use(write):
    path = own(write, *GOOD)
    with pytest.raises(UserError, match=r"data.dir = .*does not go with data.path"):
        load(path, dir="/tmp")
    with pytest.raises(UserError, match=r"data.size = .*does not go with data.path"):
        load(path, size={"users": 3})
    with pytest.raises(UserError, match=r"data.recipe = 'paper': unknown for own.*known: 5-core"):
        load(path, recipe="paper")


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({"title": "T", "brand": "B"}, "T"),
        ({"title": "", "brand": "B", "categories": "wide|narrow"}, "B narrow (7)"),
        ({"categories": "wide|narrow"}, "narrow (7)"),
        ({"title": "", "brand": "", "categories": ""}, "7"),
        ({}, "7"),
    ],
)
def test_an_item_without_a_title_is_called_by_what_else_is_known(columns, expected):
    texts = {name: TextColumn.from_strings([text]) for name, text in columns.items()}
    assert Items(ids=np.array([7]), columns=texts).title(1) == expected
