"""Small files of a user's, and the dataset that each of them is."""

from __future__ import annotations

import json
from pathlib import Path

from fame.config import DataConfig
from fame.datasets import load_dataset

BEGIN = 1_700_000_000


def load(path: str | Path, **settings):
    said: list[str] = []
    config = DataConfig(**{"name": "own", "path": str(path), "core": 1, **settings})
    return load_dataset(config, report=said.append), said


def histories(dataset) -> dict:
    return {
        user: dataset.items.ids[dataset.sequences[k] - 1].tolist() for k, user in enumerate(dataset.user_ids.tolist())
    }


def rows(ids=("a", "b", "c", "d"), users=("u", "v"), times=None) -> list[tuple]:
    return [(user, item, BEGIN + 60 * k if times is None else times[k]) for user in users for k, item in enumerate(ids)]


def text(lines: list[tuple], separator: str = ",", header: str = "user,item,time") -> str:
    return header.replace(",", separator) + "\n" + "".join(separator.join(map(str, line)) + "\n" for line in lines)


def jsonl(path: Path, records: list[dict]) -> Path:
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


ABCD = ["a", "b", "c", "d"]


def python_lines(records: list[dict]) -> str:
    return "".join(repr(record) + "\n" for record in records)


def records() -> list[dict]:
    return [{"user": u, "item": i, "time": t} for u, i, t in rows()]


def own(write, *lines: str, name: str = "a.csv") -> str:
    return write(name, "user,item,time", *lines)


GOOD = [f"1,{i},{i}" for i in range(3)]


SMALL = DataConfig(name="synthetic", size={"users": 50, "items": 40, "length": 8})


def load_config(config: DataConfig = SMALL, lines: list[str] | None = None):
    return load_dataset(config, report=(lines if lines is not None else []).append)


def prepared_folder(cache_folder: Path) -> Path:
    (folder,) = (cache_folder / "prepared").iterdir()
    return folder


def dataset_of(path: str | Path, **settings):
    return load(path, **settings)[0]


def load_named(name: str, **changes):
    return load_dataset(DataConfig(name=name, **changes), report=lambda line: None)
