"""A folder of generated interactions as a company's log: Parquet, a folder a day, users scattered over all days."""

from __future__ import annotations

from pathlib import Path

import numpy as np

ROWS_IN_FILE = 2_000_000
ROWS_PER_USER, ROWS_PER_ITEM = 40, 200
FIRST_DAY = np.datetime64("2024-01-01", "s").astype(int)
DAY = 86_400


def generate(folder: Path, rows: int, rows_in_file: int = ROWS_IN_FILE) -> None:
    """Write `rows` interactions into `folder/date=…/part.parquet`.

    User ids are 64-bit hashes, item ids are text. Half of the users and of the items are rare: a 5-core leaves most of
    them out.
    """
    import pyarrow as pa
    from pyarrow import parquet

    random = np.random.default_rng(0)
    users, items = max(20, rows // ROWS_PER_USER), max(20, rows // ROWS_PER_ITEM)
    item_ids = pa.array([f"item-{number}" for number in range(items)])
    for day, first in enumerate(range(0, rows, rows_in_file)):
        size = min(rows_in_file, rows - first)
        user = _drawn(random, size, users, power=2, rare=0.05).astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        item = _drawn(random, size, items, power=3, rare=0.02).astype(np.int32)
        time = FIRST_DAY + day * DAY + random.integers(DAY, size=size)
        columns = {
            "user_id": user.astype(np.int64),
            "item_id": pa.DictionaryArray.from_arrays(item, item_ids),
            "timestamp": time,
        }
        place = folder / f"date={np.datetime64(int(time[0]) // DAY, 'D')}"
        place.mkdir(parents=True)
        parquet.write_table(pa.table(columns), place / "part.parquet", store_schema=False)


def _drawn(random: np.random.Generator, size: int, count: int, *, power: int, rare: float) -> np.ndarray:
    """Numbers below `count`: most by a power law among the first half, a share of `rare` anywhere."""
    drawn = random.random(size) ** power * (count // 2)
    anywhere = random.random(size) < rare
    drawn[anywhere] = random.random(int(anywhere.sum())) * count
    return drawn
