"""Recommendations for many users as one table, written in parts: whatever ends the work, it goes on where it was.

    recs.parquet            user, rank, item, title, score; there once everything is
    .recs.parquet.parts/    a Parquet file for every 4,096 users that are done, and `job.json`, which says of what

The parts do not depend on where they are computed: in this process, or by the tasks of a cluster (`Engine`).
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fame.errors import UserError
from fame.index.inverted import INDEX, check_sum
from fame.runtime.files import writing
from fame.serving.histories import Histories
from fame.serving.ranking import NONE
from fame.serving.recommender import Recommender
from fame.serving.request import Request

if TYPE_CHECKING:
    import pyarrow as pa

PART = 4096
"""Users of a part."""
SUFFIXES = (".parquet", ".csv")


@dataclass(frozen=True, kw_only=True)
class Job:
    """A model, its users, and the request for each of them."""

    folder: Path
    """The exported model."""
    histories: Histories
    request: Request
    """The request for every user; its history is not used."""

    @property
    def part_count(self) -> int:
        return -(-len(self.histories) // PART)

    def part(self, number: int) -> Histories:
        """The users of a part."""
        return self.histories.part(number * PART, min((number + 1) * PART, len(self.histories)))

    @cached_property
    def identity(self) -> str:
        """Hash of everything that decides the rows."""
        digest = hashlib.sha256(f"{check_sum(self.folder)} {(self.folder / INDEX).exists()} {PART}".encode())
        digest.update((self.folder / "items.json").read_bytes())
        digest.update(self.request.rule.encode())
        for array in (self.histories.ids, self.histories.values, self.histories.offsets):
            digest.update(array.tobytes())
        return digest.hexdigest()


Engine = Callable[[Job, Sequence[int]], Iterator[tuple[int, "pa.Table"]]]
"""Yields the numbers and the rows of the asked parts, in any order."""


class RowMaker:
    """Makes the rows of a part."""

    def __init__(self, recommender: Recommender, request: Request) -> None:
        import pyarrow as pa

        self.recommender, self.rule = recommender, recommender.rule(request)
        catalogue = recommender.exported.catalogue
        self.ids, self.titles = pa.array(catalogue.ids), pa.array(catalogue.titles)

    def __call__(self, users: Histories) -> pa.Table:
        import pyarrow as pa

        best, _ = self.recommender.best(users, self.rule)
        there = best.items != NONE
        rows, ranks = np.nonzero(there)
        items, scores = pa.array(best.items[there]), best.scores[there].astype(np.float32)
        columns = {
            "user": pa.array(users.ids[rows]),
            "rank": pa.array((ranks + 1).astype(np.int32)),
            "item": self.ids.take(items),
            "title": self.titles.take(items),
            "score": pa.array(scores, mask=~np.isfinite(scores)),
        }
        return pa.table(columns)


def here(job: Job, numbers: Sequence[int], recommender: Recommender) -> Iterator[tuple[int, pa.Table]]:
    """The engine of this process."""
    rows = RowMaker(recommender, job.request)
    for number in numbers:
        yield number, rows(job.part(number))


def write_recommendations(
    job: Job, out: Path, engine: Engine, report: Callable[[str], None], progress: Callable[[int], object]
) -> int:
    """Write the table, and return its rows. `progress` is told of users that are done.

    Raises `UserError` for a place that cannot be written, or a name that ends in none of `SUFFIXES`.
    """
    check_out(out)
    parts = out.parent / f".{out.name}.parts"
    with writing(out):
        done = _opened(parts, job)
        if done:
            report(f"{len(done):,} of {job.part_count:,} parts were done before")
        progress(sum(len(job.part(number)) for number in done))
        try:
            for number, table in engine(job, [number for number in range(job.part_count) if number not in done]):
                _write_part(parts, number, table)
                progress(len(job.part(number)))
        finally:
            if not any(parts.glob("*.parquet")):
                shutil.rmtree(parts)
        rows = _join(parts, job.part_count, out)
        shutil.rmtree(parts)
    return rows


def check_out(out: Path) -> None:
    """Raise `UserError` for a name that says no known format."""
    if out.suffix.lower() not in SUFFIXES:
        raise UserError(f"--out {out}: the name must end in {' or '.join(SUFFIXES)}")
    if out.is_dir():
        raise UserError(f"--out {out}: is a folder; give a file in it, such as {out / 'recs.parquet'}")


def _opened(parts: Path, job: Job) -> set[int]:
    """Make the folder of parts, without those of another job; the numbers of the parts that are there."""
    record = parts / "job.json"
    try:
        same = json.loads(record.read_text(encoding="utf-8"))["identity"] == job.identity
    except (OSError, ValueError, KeyError):
        same = False
    if not same:
        shutil.rmtree(parts, ignore_errors=True)
        parts.mkdir(parents=True)
        record.write_text(json.dumps({"identity": job.identity}), encoding="utf-8")
    return {int(path.stem) for path in parts.glob("*.parquet")}


def _write_part(parts: Path, number: int, table: pa.Table) -> None:
    from pyarrow import parquet

    temporary = parts / f".{number}.tmp"
    parquet.write_table(table, temporary)
    os.replace(temporary, parts / f"{number:06d}.parquet")


def _join(parts: Path, count: int, out: Path) -> int:
    """Write the rows of all parts, in order, one part at a time."""
    from pyarrow import csv, parquet

    temporary, rows = out.with_name(f".{out.name}.tmp"), 0
    writer: Any = None
    try:
        for number in range(count):
            table = parquet.read_table(parts / f"{number:06d}.parquet")
            if writer is None:
                kind = csv.CSVWriter if out.suffix.lower() == ".csv" else parquet.ParquetWriter
                writer = kind(str(temporary), table.schema)
            writer.write_table(table)
            rows += len(table)
        writer.close()
        os.replace(temporary, out)
    finally:
        temporary.unlink(missing_ok=True)
    return rows
