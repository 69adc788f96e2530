"""The same interactions in every form that `--data` takes."""

from __future__ import annotations

import bz2
import datetime
import decimal
import gzip
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
from pyarrow import parquet

from fame.config import DataConfig
from fame.datasets import Dataset, load_dataset

BEGIN = 1_700_000_000
NAMES = ("user_id", "item_id", "timestamp")
ROWS = [
    (user, 100 + item, BEGIN + 3_600 * k + 7 * user)
    for user in range(1, 13)
    for k, item in enumerate(range(user, user + 9))
]
random.Random(3).shuffle(ROWS)


def columns(unit: int = 1) -> dict[str, list[int]]:
    users, items, times = (list(column) for column in zip(*ROWS, strict=True))
    return {"user_id": users, "item_id": items, "timestamp": [time * unit for time in times]}


def write_text(
    path: Path, separator: str = ",", header: bool = True, end: str = "\n", time: Callable = str, encoding="utf-8"
) -> str:
    lines = [separator.join(NAMES)] if header else []
    lines += [separator.join((str(u), str(i), time(t))) for u, i, t in ROWS]
    path.write_bytes("".join(line + end for line in lines).encode(encoding))
    return str(path)


def records() -> list[dict[str, int]]:
    return [dict(zip(NAMES, row, strict=True)) for row in ROWS]


def write_table(path: Path, table: dict | pa.Table, **options) -> str:
    parquet.write_table(table if isinstance(table, pa.Table) else pa.table(table), path, **options)
    return str(path)


def utc(time: int) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(time, datetime.UTC)


def written(path: Path, content: str | bytes) -> str:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return str(path)


def csv_text() -> str:
    return ",".join(NAMES) + "\n" + "".join(f"{u},{i},{t}\n" for u, i, t in ROWS)


def json_lines() -> str:
    return "".join(json.dumps(record) + "\n" for record in records())


def partitioned(path: Path) -> str:
    for user, item, time in ROWS:
        folder = path / f"day={utc(time):%Y-%m-%d}" / f"hour={utc(time).hour}"
        folder.mkdir(parents=True, exist_ok=True)
        part = folder / "part-0.parquet"
        rows = parquet.read_table(part).to_pylist() if part.exists() else []
        parquet.write_table(pa.Table.from_pylist([*rows, dict(zip(NAMES, (user, item, time), strict=True))]), part)
    (path / "_SUCCESS").write_text("")
    return str(path)


def histories() -> dict[str, list]:
    by_user: dict[int, list[tuple[int, int]]] = {}
    for user, item, time in ROWS:
        by_user.setdefault(user, []).append((time, item))
    users = sorted(by_user)
    return {
        "user_id": users,
        "items": [[item for _, item in sorted(by_user[user])] for user in users],
        "times": [[time for time, _ in sorted(by_user[user])] for user in users],
    }


def split_files(path: Path) -> str:
    path.mkdir()
    third = len(ROWS) // 3
    for number, part in enumerate((ROWS[:third], ROWS[third : 2 * third], ROWS[2 * third :])):
        lines = "".join(f"{u},{i},{t}\n" for u, i, t in part)
        (path / f"part-{number}.csv").write_text(",".join(NAMES) + "\n" + lines)
    return str(path)


def int96(path: Path) -> str:
    table = pa.table({**columns(), "timestamp": pa.array(columns(10**9)["timestamp"], pa.timestamp("ns"))})
    return write_table(path, table, use_deprecated_int96_timestamps=True)


def typed(unit: str, zone: str | None = None) -> pa.Array:
    parts = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[unit]
    return pa.array(columns(parts)["timestamp"], pa.timestamp(unit, zone))


Form = Callable[[Path], "str | tuple[str, dict[str, Any]]"]
NUMBERED = {"columns": {"user": "1", "item": "2", "time": "3"}}
HISTORY = {"columns": {"user": "user_id", "item": "items", "time": "times"}}
FORMS: dict[str, Form] = {
    "CSV": lambda p: write_text(p / "a.csv"),
    "CSV, CRLF": lambda p: write_text(p / "a.csv", end="\r\n"),
    "CSV, empty lines first": lambda p: written(p / "a.csv", "\n\r\n" + csv_text()),
    "CSV, quoted": lambda p: written(p / "a.csv", csv_text().replace(",", '","').replace("\n", '"\n"')[:-1].join('"\n').strip('\n')),
    "CSV, no header": lambda p: (write_text(p / "a.csv", header=False), NUMBERED),
    "CSV, a header, columns by number": lambda p: (write_text(p / "a.csv"), NUMBERED),
    "CSV, blanks after commas": lambda p: written(p / "a.csv", csv_text().replace(",", ", ")),
    "CSV, two index columns": lambda p: written(
        p / "a.csv", "".join(f"{',' if k == 0 else k},{'' if k == 0 else k}{'' if k == 0 else ','}{line}\n" for k, line in enumerate(csv_text().splitlines()))
    ),
    "CSV, unused columns of one name": lambda p: written(
        p / "a.csv", "".join(f"{line},{'note,note' if k == 0 else 'x,y'}\n" for k, line in enumerate(csv_text().splitlines()))
    ),
    "CSV, R's row names": lambda p: written(
        p / "a.csv", "".join(f"{line}\n" if k == 0 else f"{k},{line}\n" for k, line in enumerate(csv_text().splitlines()))
    ),
    "CSV, gzip": lambda p: written(p / "a.csv.gz", gzip.compress(csv_text().encode())),
    "CSV, gzip without the suffix": lambda p: written(p / "a.csv", gzip.compress(csv_text().encode())),
    "CSV, bz2": lambda p: written(p / "a.csv.bz2", bz2.compress(csv_text().encode())),
    "CSV, byte order mark": lambda p: written(p / "a.csv", b"\xef\xbb\xbf" + csv_text().encode()),
    "CSV, UTF-16": lambda p: write_text(p / "a.csv", encoding="utf-16"),
    "CSV, UTF-16 without a mark": lambda p: (write_text(p / "a.csv", encoding="utf-16-le"), {"encoding": "utf-16-le"}),
    "Excel's sep= line": lambda p: written(p / "a.csv", "sep=;\n" + csv_text().replace(",", ";")),
    "TSV": lambda p: write_text(p / "a.tsv", "\t"),
    "tabs in .csv": lambda p: write_text(p / "a.csv", "\t"),
    "semicolons": lambda p: write_text(p / "a.csv", ";"),
    "semicolons, decimal commas": lambda p: write_text(p / "a.csv", ";", time=lambda t: f"{t},0"),
    "bars": lambda p: write_text(p / "a.csv", "|"),
    "bars, said": lambda p: (write_text(p / "a.txt", "|"), {"separator": "pipe"}),
    "carets, said": lambda p: (write_text(p / "a.txt", "^"), {"separator": "^"}),
    "double colons, no header": lambda p: (write_text(p / "ratings.dat", "::", header=False), NUMBERED),
    "no suffix": lambda p: write_text(p / "interactions"),
    "RecBole": lambda p: written(p / "a.inter", csv_text().replace(",", "\t").replace(
        "user_id\titem_id\ttimestamp", "user_id:token\titem_id:token\ttimestamp:float", 1)),
    "JSON lines": lambda p: written(p / "a.jsonl", json_lines()),
    "JSON lines, gzip": lambda p: written(p / "a.jsonl.gz", gzip.compress(json_lines().encode())),
    "JSON lines, bz2": lambda p: written(p / "a.json.bz2", bz2.compress(json_lines().encode())),
    "JSON lines, UTF-16": lambda p: written(p / "a.jsonl", json_lines().encode("utf-16")),
    "JSON array": lambda p: written(p / "a.json", json.dumps(records())),
    "JSON, spread over lines": lambda p: written(p / "a.json", json.dumps(records(), indent=1)),
    "JSON, ids as text and fractions": lambda p: written(p / "a.jsonl", "".join(
        json.dumps({"user_id": str(u), "item_id": float(i), "timestamp": t + 0.25}) + "\n" for u, i, t in ROWS)),
    "JSON, no suffix": lambda p: written(p / "events", json_lines()),
    "Parquet": lambda p: write_table(p / "a.parquet", columns()),
    "Parquet, no suffix": lambda p: write_table(p / "events", columns()),
    "Parquet, partitioned": lambda p: partitioned(p / "events"),
    "Parquet, glob": lambda p: f"{partitioned(p / 'events')}/*/*/*.parquet",
    "Parquet, decimals": lambda p: write_table(p / "a.parquet", {
        "user_id": pa.array([decimal.Decimal(u) for u in columns()["user_id"]], pa.decimal128(38, 0)),
        "item_id": pa.array([decimal.Decimal(i) for i in columns()["item_id"]], pa.decimal128(38, 10)),
        "timestamp": columns()["timestamp"]}),
    "Parquet, small integers": lambda p: write_table(p / "a.parquet", {
        "user_id": pa.array(columns()["user_id"], pa.uint8()), "item_id": pa.array(columns()["item_id"], pa.int16()),
        "timestamp": pa.array(columns()["timestamp"], pa.uint64())}),
    "Parquet, bytes": lambda p: write_table(p / "a.parquet", {
        "user_id": [str(u).encode() for u in columns()["user_id"]], "item_id": [str(i).encode() for i in columns()["item_id"]],
        "timestamp": columns()["timestamp"]}),
    "Parquet, dictionaries and fractions": lambda p: write_table(p / "a.parquet", {
        "user_id": pa.array(map(str, columns()["user_id"])).dictionary_encode(), "item_id": pa.array(columns()["item_id"], pa.float64()),
        "timestamp": pa.array(columns()["timestamp"], pa.float64())}),
    **{f"Parquet, {u}": lambda p, u=u: write_table(p / "a.parquet", {**columns(), "timestamp": typed(u)}) for u in ("ms", "us", "ns")},
    "Parquet, ns in Tokyo": lambda p: write_table(p / "a.parquet", {**columns(), "timestamp": typed("ns", "Asia/Tokyo")}),
    "Parquet, INT96": lambda p: int96(p / "a.parquet"),
    **{f"numbers in {u}": lambda p, n=n: written(p / "a.csv", ",".join(NAMES) + "\n" + "".join(f"{u},{i},{t * n}\n" for u, i, t in ROWS))
       for u, n in (("ms", 10**3), ("us", 10**6), ("ns", 10**9))},
    **{f"dates like {format_}": lambda p, f=format_: write_text(p / "a.csv", ";", time=lambda t: utc(t).strftime(f))
       for format_ in ("%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%d %H:%M:%S UTC", "%Y-%m-%d %H:%M:%S,123",
                       "%a, %d %b %Y %H:%M:%S +0000", "%a, %d %b %Y %H:%M:%S GMT", "%Y/%m/%d %H:%M:%S", "%Y%m%dT%H%M%S")},
    "Parquet, a row per user": lambda p: (write_table(p / "a.parquet", histories()), HISTORY),
    "Parquet, a row per user, no times": lambda p: (
        write_table(p / "a.parquet", {k: v for k, v in histories().items() if k != "times"}), {}),
    "JSON, a row per user": lambda p: (written(p / "a.jsonl", pd.DataFrame(histories()).to_json(orient="records", lines=True)), HISTORY),
    "CSV, a row per user": lambda p: (pd.DataFrame(histories()).to_csv(p / "a.csv", index=False) or str(p / "a.csv"), HISTORY),
    "RecBole, a row per user": lambda p: (written(p / "a.inter", "user_id:token\titem_id_list:token_seq\n" + "".join(
        f"{u}\t{' '.join(map(str, items))}\n" for u, items in zip(*list(histories().values())[:2], strict=True))), {}),
    "a folder of CSV files": lambda p: split_files(p / "events"),
    "a glob of CSV files": lambda p: f"{split_files(p / 'events')}/part-*.csv",
    "three CSV files": lambda p: ",".join(f"{split_files(p / 'events')}/part-{k}.csv" if k == 0 else f"{p}/events/part-{k}.csv" for k in range(3)),
    "rows that a condition keeps": lambda p: (written(p / "a.csv", ",".join((*NAMES, "event")) + "\n" + "".join(
        f"{u},{i},{t},buy\n{u},{i + 1},{t - 5},view\n,,,view\n" for u, i, t in ROWS)), {"where": "event = 'buy' AND user_id IS NOT NULL"}),
}  # fmt: skip


def load(path: str, **settings) -> tuple[Any, list[str]]:
    said: list[str] = []
    return load_dataset(DataConfig(name="own", path=path, **{"core": 1, **settings}), report=said.append), said


def known() -> tuple[str, dict]:
    dataset = Dataset.from_pandas(pa.table(columns()), core=1)
    return dataset.fingerprint, {k: v for k, v in dataset.statistics.items() if k != "steps"}
