"""Random interactions, and the filters in plain Python."""

from __future__ import annotations

from collections import Counter, defaultdict

import numpy as np
from hypothesis import strategies as st

from fame.config import DataConfig
from fame.datasets.entry import Chunk, Raw
from fame.datasets.preparation.prepare import prepare

Row = tuple[object, object, int, float]


def config(**changes) -> DataConfig:
    plain = {"min_rating": 0.0, "core": 1, "min_history": 3, "max_history": 0, "repeats": "keep"}
    return DataConfig(name="test", **{**plain, **changes})


def raw(rows: list[Row], chunk_rows: int = 7) -> Raw:
    def chunks(with_rating: bool):
        for begin in range(0, len(rows), chunk_rows):
            user, item, time, rating = zip(*rows[begin : begin + chunk_rows], strict=True)
            yield Chunk(
                user=np.array(user),
                item=np.array(item),
                time=np.array(time),
                rating=np.array(rating) if with_rating else None,
            )

    return Raw(interactions=[chunks], items=lambda: None)


def histories(rows: list[Row], settings_: DataConfig) -> dict[object, list[object]]:
    """The result by user id, or UserError."""
    result = prepare(raw(rows), settings_)
    bounds = zip(result.offsets, result.offsets[1:], strict=False)
    return {
        user: result.item_ids[result.values[a:b] - 1].tolist()
        for user, (a, b) in zip(result.user_ids.tolist(), bounds, strict=True)
    }


def naive(rows: list[Row], c: DataConfig) -> dict[object, list[object]]:
    rows = [row for row in rows if row[3] >= c.min_rating]
    rows = sorted(rows, key=lambda row: row[2])
    if c.repeats == "drop":
        seen: set[tuple[object, object]] = set()
        rows = [row for row in rows if row[:2] not in seen and not seen.add(row[:2])]
    while True:
        users, items = Counter(row[0] for row in rows), Counter(row[1] for row in rows)
        kept = [row for row in rows if users[row[0]] >= c.core and items[row[1]] >= c.core]
        if len(kept) == len(rows):
            break
        rows = kept
    result = defaultdict(list)
    for user, item, *_ in rows:
        result[user].append(item)
    return {
        user: result[user]
        for user in sorted(result)
        if len(result[user]) >= c.min_history and (c.max_history == 0 or len(result[user]) <= c.max_history)
    }


rows_strategy = st.lists(
    st.tuples(st.integers(0, 8), st.integers(0, 8), st.integers(0, 20), st.sampled_from([1.0, 3.0, 4.5, 5.0])),
    min_size=1,
    max_size=120,
)
