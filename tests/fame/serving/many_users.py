"""Users with known histories, and the rows that each of them gets."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from fame import recommend
from fame.serving.recommender import Recommender
from fame.serving.request import Request
from tests.commands import Done, call

ITEMS = [f"{number:03d}" for number in range(1, 13)]


USERS = {f"u{user:02d}": [ITEMS[(user + step) % 12] for step in range(5 + user % 4)] for user in range(20)}


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
