"""Whatever a file holds, it is read or refused with one line: no traceback, no hang."""

from __future__ import annotations

import contextlib
import json
import random
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from fame.config import DataConfig
from fame.config.tree import apply_overrides, experiment_from_dict, parse_yaml
from fame.datasets import load_dataset
from fame.errors import UserError
from tests.fame.datasets.files import dataset_of
from tuning.space.file import space_from_dict

MANY = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
SUFFIXES = ["csv", "tsv", "txt", "inter", "json", "jsonl", "parquet", "csv.gz", "jsonl.zst", "dat"]
CELLS = st.one_of(
    st.sampled_from(["", "1", "-7", "1.0", "NaN", "NULL", '"', '"a', 'a"', '""', " 1", "1700000000", "1700000000000", "é", "[1, 2]"]),
    st.sampled_from(["2024-01-05", "2024-13-45", "2023-11-14 22:30:00 UTC", "Tue, 14 Nov 2023 22:30:00 GMT", "9" * 25, "1e400", "{", "\x0b"]),
    st.text(max_size=4),
)  # fmt: skip
NAMES = st.sampled_from(
    ["user", "item", "time", "user_id:token", "item_id:token_seq", "", " item", "user", "rating", "1", "é"]
)
SETTINGS = st.fixed_dictionaries(
    {},
    optional={
        "columns": st.sampled_from([{"user": "1", "item": "2", "time": "3"}, {"user": "user"}, {"item": "9"}]),
        "separator": st.sampled_from([",", ";", "::", "tab", "x"]),
        "encoding": st.sampled_from(["latin-1", "utf-16", "utf-8", "ascii"]),
        "where": st.sampled_from(["time > 0", "user is not null", "user = item"]),
        "mixed_times": st.just("convert"),
        "min_rating": st.just(1.0),
    },
)


def try_to_load(path: Path, **chosen) -> None:
    said: list[str] = []
    try:
        load_dataset(DataConfig(name="own", path=str(path), core=1, **chosen), report=said.append)
    except UserError as error:
        said.append(str(error))
    assert all("\n" not in line and len(line) < 1500 for line in said)


@pytest.mark.parametrize("suffix", SUFFIXES)
@given(content=st.binary(max_size=300) | st.text(max_size=200).map(str.encode), chosen=SETTINGS)
@example(content=b"user,item,time\n", chosen={})
@example(content=b"\xff\xfe", chosen={})
@example(content=b"sep=", chosen={})
@example(content=b"{}", chosen={})
@example(content=b"\x1f\x8b", chosen={})
@example(content=b"PAR1", chosen={})
@example(content=b'"', chosen={})
@settings(MANY, max_examples=25)
def test_bytes(suffix, content, chosen, tmp_path):
    path = tmp_path / f"a.{suffix}"
    path.write_bytes(content)
    try_to_load(path, **chosen)


@given(
    names=st.lists(NAMES, min_size=1, max_size=5),
    rows=st.lists(st.lists(CELLS, min_size=3, max_size=4), max_size=8),
    separator=st.sampled_from([",", "\t", ";", "|", "::"]),
    end=st.sampled_from(["\n", "\r\n", "\r"]),
    chosen=SETTINGS,
)
@MANY
def test_tables_of_text(names, rows, separator, end, chosen, tmp_path):
    path = tmp_path / "a.csv"
    text = "".join(separator.join(line) + end for line in [names, *rows])
    path.write_bytes(text.encode("utf-8", "replace"))
    try_to_load(path, **chosen)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | CELLS,
    lambda below: st.lists(below, max_size=3) | st.dictionaries(st.sampled_from(["a", "name", ""]), below, max_size=2),
    max_leaves=6,
)


@given(
    records=st.lists(st.dictionaries(NAMES, JSON, max_size=5) | JSON, max_size=6), lines=st.booleans(), chosen=SETTINGS
)
@MANY
def test_json(records, lines, chosen, tmp_path):
    path = tmp_path / "a.json"
    path.write_text("\n".join(map(json.dumps, records)) if lines else json.dumps(records))
    try_to_load(path, **chosen)
    (tmp_path / "good.csv").write_text("user,item,time\n" + "".join(f"1,{i},{i}\n" for i in range(3)))
    with contextlib.suppress(UserError):
        load_dataset(
            DataConfig(name="own", path=str(tmp_path / "good.csv"), items=str(path), core=1), report=lambda _: None
        )


TYPES = [pa.int8(), pa.uint64(), pa.float16(), pa.float64(), pa.string(), pa.large_binary(), pa.binary(3), pa.bool_(), pa.date32(),
         pa.timestamp("ns"), pa.time64("us"), pa.decimal128(22, 2), pa.null(), pa.list_(pa.int32()), pa.struct([("a", pa.int8())]),
         pa.dictionary(pa.int8(), pa.string()), pa.duration("s"), pa.uuid()]  # fmt: skip


@pytest.mark.parametrize("kind", TYPES, ids=str)
@pytest.mark.parametrize("role", ["user", "item", "time", "title"])
def test_parquet_of_every_type(kind, role, tmp_path):
    values = {"user": ["u"] * 4, "item": [1, 2, 3, 4], "time": [1, 2, 3, 4], "title": ["t"] * 4}
    plain = {pa.string(): ["a", "b", None, "c"], pa.large_binary(): [b"a", b"\xff", None, b"c"], pa.binary(3): [b"abc"] * 4,
             pa.list_(pa.int32()): [[1], [], None, [2]], pa.struct([("a", pa.int8())]): [{"a": 1}] * 4, pa.null(): [None] * 4,
             pa.dictionary(pa.int8(), pa.string()): ["a", "b", "a", "c"], pa.bool_(): [True, False, None, True]}  # fmt: skip
    if kind == pa.uuid():
        column = pa.array([bytes([k]) * 16 for k in range(4)], kind)
    else:
        column = (
            pa.array(plain[kind], kind)
            if kind in plain
            else pa.array([1, 2, 3, 4])
            .cast(pa.float64() if "float" in str(kind) else pa.int64())
            .cast(kind, safe=False)
            if not pa.types.is_temporal(kind)
            else pa.array([1, 2, 3, 4], pa.int32() if kind == pa.date32() else pa.int64()).cast(kind)
        )
    table = pa.table({**values, role: column})
    try:
        parquet.write_table(table, tmp_path / "a.parquet")
    except pa.ArrowNotImplementedError:
        pytest.skip("Parquet has no such type")
    try_to_load(tmp_path / "a.parquet")
    parquet.write_table(
        table.drop_columns(["time", "user"]) if role not in ("time", "user") else table, tmp_path / "i.parquet"
    )
    try_to_load(tmp_path / "a.parquet", items=str(tmp_path / "i.parquet"))


@given(key=st.sampled_from(["data.core", "train.lr", "model", "data.columns", "data", "seed", "data.size.users"]), value=st.text(max_size=12) | st.sampled_from(["[", "{a: 1}", "&a [*a]", "2024-13-01", "!!python/object:x", "1e999", "~", "<<", "{a: 1, a: 2}", "9" * 5000]))  # fmt: skip
@MANY
def test_values_of_set(key, value):
    with contextlib.suppress(UserError):
        experiment_from_dict(apply_overrides({}, [f"{key}={value}"]))


@given(st.recursive(st.none() | st.integers() | st.floats() | st.text(max_size=5), lambda b: st.lists(b, max_size=3) | st.dictionaries(st.sampled_from(["base", "search", "start", "constraints", "train.lr", "low", "high", "choices", "when", "model", "name", "seed"]), b, max_size=3), max_leaves=10))  # fmt: skip
@MANY
def test_spaces(tree):
    with contextlib.suppress(UserError):
        space_from_dict(tree)


@given(st.text(max_size=60) | st.binary(max_size=60))
@MANY
def test_yaml(content):
    with contextlib.suppress(UserError):
        parse_yaml(content if isinstance(content, bytes) else content.encode("utf-8", "replace"), "file")


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.csv.gz", "a.parquet", "a.jsonl", "a.jsonl.gz"])
@pytest.mark.parametrize("size", [0, 100, 10_000_000])
def test_random_bytes(name, size, tmp_path):
    path = tmp_path / name
    path.write_bytes(random.Random(size).randbytes(size))
    with pytest.raises(UserError, match=name) as caught:
        dataset_of(str(path), columns={"user": "user", "item": "item", "time": "time"})
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 700
    assert str(caught.value).isprintable()
