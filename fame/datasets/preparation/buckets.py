"""Interactions by user, in memory as long as they are few, else on disk.

Many interactions are spread over buckets: all rows of a user are in one of them, in the order in which they came. So each
bucket is sorted and filtered for itself, and only one bucket's rows are in memory.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import FileIO

import numpy as np

from fame.datasets.cache import cache_root, writable

ROWS_IN_MEMORY = 1 << 22
"""Rows that are collected before they go to disk."""
BUCKETS = 128


@dataclass(frozen=True, kw_only=True)
class ArrayPlace:
    """Where an array lies in a file."""

    offset: int
    count: int
    dtype: np.dtype


Kept = ArrayPlace | np.ndarray
"""An array, or where it lies."""


class Scratch:
    """Arrays in a file of the cache that has no name: it vanishes with the process, however that ends."""

    def __init__(self) -> None:
        self._file: FileIO | None = None
        self._end = 0

    def __bool__(self) -> bool:
        return self._file is not None

    def open(self) -> None:
        """Keep what is put from now on in the file."""
        if self._file is None:
            with writable():
                cache_root().mkdir(parents=True, exist_ok=True)
                self._file = tempfile.TemporaryFile(buffering=0, dir=cache_root())  # noqa: SIM115  # closed by `close`

    def close(self) -> None:
        if self._file is not None:
            self._file.close()

    def put(self, array: np.ndarray, over: Kept | None = None) -> Kept:
        """The array, or where it lies. `over`: what is no longer needed, and at least as long."""
        if self._file is None:
            return array
        offset = over.offset if isinstance(over, ArrayPlace) else self._end
        left = _bytes(np.ascontiguousarray(array))
        with writable():
            self._file.seek(offset)
            while left:
                left = left[self._file.write(left) :]
        self._end = max(self._end, offset + array.nbytes)
        return ArrayPlace(offset=offset, count=len(array), dtype=array.dtype)

    def get(self, *places: Kept) -> np.ndarray:
        """The arrays at these places, one after the other."""
        arrays = [place if isinstance(place, np.ndarray) else self._read(place) for place in places]
        return arrays[0] if len(arrays) == 1 else np.concatenate(arrays)

    def _read(self, place: ArrayPlace) -> np.ndarray:
        assert self._file is not None
        array = np.empty(place.count, place.dtype)
        left = _bytes(array)
        self._file.seek(place.offset)
        while left:
            left = left[self._file.readinto(left) :]
        return array


def _bytes(array: np.ndarray) -> memoryview:
    return array.data.cast("B") if len(array) else memoryview(b"")


@dataclass(kw_only=True)
class RowsByUser:
    """Rows as parallel arrays, spread by the numbers of their users.

    `add` takes as many rows as one likes; once there are more than `ROWS_IN_MEMORY`, they go to `scratch`.
    """

    scratch: Scratch
    _pieces: list[list[dict[str, Kept]]] = field(default_factory=lambda: [[]])
    _rows: int = 0

    def add(self, users: np.ndarray, **columns: np.ndarray) -> None:
        """Add rows. `users`: numbers from 0; the numbers of the users in a bucket are as dense."""
        if not len(users):
            return
        self._rows += len(users)
        rows = {"users": users, **columns}
        if not self.scratch and self._rows <= ROWS_IN_MEMORY:
            self._pieces[0].append(dict(rows))
            return
        if not self.scratch:
            before, self._pieces = self._pieces[0], [[] for _ in range(BUCKETS)]
            self.scratch.open()
            for piece in before:
                self._spread({name: self.scratch.get(column) for name, column in piece.items()})
        self._spread(rows)

    def _spread(self, rows: dict[str, np.ndarray]) -> None:
        bucket = (rows["users"] % BUCKETS).astype(np.uint8)
        order = np.argsort(bucket, kind="stable")  # by radix
        ends = np.cumsum(np.bincount(bucket, minlength=BUCKETS))
        ordered = {name: column[order] for name, column in rows.items()}
        for pieces, end, begin in zip(self._pieces, ends, [0, *ends[:-1]], strict=True):
            if end > begin:
                pieces.append({name: self.scratch.put(column[begin:end]) for name, column in ordered.items()})

    def buckets(self) -> Iterator[dict[str, np.ndarray]]:
        """The rows of each bucket that has any; what was read is given up."""
        while self._pieces:
            if pieces := self._pieces.pop():
                yield {name: self.scratch.get(*(piece[name] for piece in pieces)) for name in pieces[0]}


@dataclass(frozen=True, kw_only=True)
class HistoryBlock:
    """The histories of some users, one after the other."""

    users: np.ndarray
    """Number of each user, [n]."""
    lengths: np.ndarray
    """Length of each history, at least 1, [n]."""
    items: np.ndarray
    """Items in order of user and time, [rows]."""
    marks: np.ndarray | None
    """Times or numbers of parts, [rows], that divide the rows into training, validation and test; None: nothing does."""

    @property
    def owners(self) -> np.ndarray:
        """Number of the user that each row belongs to, [rows]."""
        return np.repeat(np.arange(len(self.users)), self.lengths)

    def kept(self, keep: np.ndarray) -> HistoryBlock:
        """The rows where `keep` is true; users without any vanish."""
        lengths = np.bincount(self.owners[keep], minlength=len(self.users))
        there = lengths > 0
        marks = None if self.marks is None else self.marks[keep]
        return HistoryBlock(users=self.users[there], lengths=lengths[there], items=self.items[keep], marks=marks)


class Shelf:
    """Histories of all users, bucket by bucket; their rows may lie in `scratch`."""

    def __init__(self, scratch: Scratch) -> None:
        self._scratch = scratch
        self._buckets: list[tuple[np.ndarray, np.ndarray, Kept, Kept | None]] = []

    def __len__(self) -> int:
        return len(self._buckets)

    def __iter__(self) -> Iterator[HistoryBlock]:
        return (self[number] for number in range(len(self)))

    def __getitem__(self, number: int) -> HistoryBlock:
        users, lengths, items, marks = self._buckets[number]
        get = self._scratch.get
        return HistoryBlock(users=users, lengths=lengths, items=get(items), marks=None if marks is None else get(marks))

    def __setitem__(self, number: int, new: HistoryBlock) -> None:
        """Put fewer rows in place of a bucket's."""
        _, _, items, marks = self._buckets[number]
        self._buckets[number] = self._put(new, items, marks)

    def append(self, new: HistoryBlock) -> None:
        self._buckets.append(self._put(new, None, None))

    @property
    def user_count(self) -> int:
        return sum(len(users) for users, *_ in self._buckets)

    def _put(
        self, new: HistoryBlock, items: Kept | None, marks: Kept | None
    ) -> tuple[np.ndarray, np.ndarray, Kept, Kept | None]:
        put = self._scratch.put
        return new.users, new.lengths, put(new.items, items), None if new.marks is None else put(new.marks, marks)
