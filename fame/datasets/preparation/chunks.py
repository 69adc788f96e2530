"""Reads files of interactions chunk by chunk, each file for itself: here, or in other processes.

Reading is what needs no other file: ids are made distinct and checked, times parsed, ratings filtered. An `Engine` reads
files elsewhere. Whatever it does not read, or reads otherwise than after the files before, is read here again. So the
rows, notes and errors are those of reading one file after the other.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import Any, TypeAlias

import numpy as np

from fame.config import DataConfig
from fame.datasets.entry import Chunk, ChunkSource
from fame.datasets.preparation.encode import Ids, parse_ratings, read_ids
from fame.errors import UserError
from fame.tables.columns import as_array
from fame.tables.table import Rows
from fame.tables.times import TimeParser


@dataclass(frozen=True, kw_only=True)
class ReadChunk:
    """Rows of a chunk, checked."""

    users: Ids
    items: Ids
    times: np.ndarray
    part: int
    """As `Chunk.part`."""
    seen: TimeParser
    """The parser, with the statistics of the times that it read."""
    rows: int
    """Rows before any was left out for its rating."""


@dataclass(frozen=True, kw_only=True)
class Ended:
    """The end of a file that was read as a whole."""

    read: int
    """Rows of the file."""
    kept: int
    """Rows for which the condition on rows holds."""


@dataclass(frozen=True, kw_only=True)
class BrokenOff:
    """The end of what could be read of a file."""

    reason: str


Found: TypeAlias = "ReadChunk | Ended | BrokenOff"


@dataclass(frozen=True, kw_only=True)
class FileReader:
    """Reads a file of a dataset."""

    config: DataConfig
    blanks: bool
    """As `fame.datasets.entry.Raw.blanks`."""

    @property
    def _least_rating(self) -> float:
        assert self.config.min_rating is not None
        return self.config.min_rating

    def new_times(self) -> TimeParser:
        return TimeParser(mixed=self.config.mixed_times, format=self.config.time_format)

    def alone(self, file: ChunkSource) -> Iterator[Found]:
        """Yield the chunks of a file, without knowing other files, and how it ended."""
        times = self.new_times()
        try:
            for found in self.after(times, file):
                if isinstance(found, ReadChunk):
                    times.absorb(found.seen)
                yield found
        except UserError as error:
            yield BrokenOff(reason=str(error))

    def after(self, times: TimeParser, file: ChunkSource, skip: int = 0) -> Iterator[ReadChunk | Ended]:
        """Yield the chunks of a file but the first ones, and its end. Raises `UserError` for rows that cannot be used.

        `times` has absorbed the chunks before: the caller lets it absorb each chunk before it takes the next.
        """
        read = kept = number = rows = 0
        for chunk in file(self._least_rating > 0):
            read, kept = read + chunk.read, kept + chunk.kept
            if not len(chunk):
                continue
            if number >= skip:
                yield self._checked(chunk, chunk.rows or Rows(first=rows + 1), times.following())
            number, rows = number + 1, rows + len(chunk)
        yield Ended(read=read, kept=kept)

    def _checked(self, chunk: Chunk, rows: Rows, times: TimeParser) -> ReadChunk:
        config, least = self.config, self._least_rating
        users = read_ids(chunk.user, "user", rows, blanks=self.blanks)
        items = read_ids(chunk.item, "item", rows, blanks=self.blanks)
        time = times.parse(_clock(chunk, config) if config.split.by == "time" else chunk.time, rows)
        if least > 0:
            keep = parse_ratings(chunk.rating, rows) >= least
            users, items, time = users.kept(keep), items.kept(keep), time[keep]
        return ReadChunk(users=users, items=items, times=time, part=chunk.part, seen=times, rows=len(chunk))


Elsewhere: TypeAlias = Generator[tuple[int, Found], None, None]
Engine: TypeAlias = Callable[[FileReader, Sequence[ChunkSource]], Elsewhere]
"""Reads files with `FileReader.alone` in other processes. Yields the number of a file with each thing found in it.

It yields them in order, from the first file on, and may end early.
"""


def read_nothing_elsewhere(reader: FileReader, files: Sequence[ChunkSource]) -> Elsewhere:
    """The engine of a single process."""
    yield from ()


def read_files(
    reader: FileReader, files: Sequence[ChunkSource], times: TimeParser, elsewhere: Elsewhere
) -> Iterator[ReadChunk | Ended]:
    """Yield the chunks and the end of each file. `times` as for `FileReader.after`; `elsewhere` is of an engine."""
    by_file = groupby(elsewhere, key=itemgetter(0))
    for number, file in enumerate(files):
        done, whole = 0, False
        for _, found in next(by_file, (number, ()))[1]:
            if isinstance(found, BrokenOff) or (isinstance(found, ReadChunk) and not times.agrees(found.seen)):
                break
            yield found
            done, whole = done + 1, isinstance(found, Ended)
        if not whole:
            yield from reader.after(times, file, skip=done)


def _clock(chunk: Chunk, config: DataConfig) -> Any:
    """The times of a chunk. Raises `UserError` if it has the order of histories alone."""
    column = chunk.clock if chunk.ordered else chunk.time
    if column is None or set(as_array(column).slice(0, 1).to_pylist()) <= {None, ""}:
        raise UserError(
            f"data.split.by = 'time': {config.path or config.name} has no times, only the order of each history; use by: last"
        )
    return column
