"""How the published archives, and the prepared format of ours, are laid out inside.

A layout reads its files through `Files`, so that a zip and its unpacked folder are the same to it.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import numpy as np

from fame.datasets.entry import Chunk, ChunkSource, ItemTable, Raw
from fame.datasets.item_tables import read_items
from fame.datasets.preparation.interactions import read_interactions
from fame.errors import UserError
from fame.tables.delimited import csv_table
from fame.tables.places import file_identity
from fame.tables.table import clear_errors

ML100K_GENRES = [
    "unknown",
    "Action",
    "Adventure",
    "Animation",
    "Children's",
    "Comedy",
    "Crime",
    "Documentary",
    "Drama",
    "Fantasy",
    "Film-Noir",
    "Horror",
    "Musical",
    "Mystery",
    "Romance",
    "Sci-Fi",
    "Thriller",
    "War",
    "Western",
]
"""Meaning of the 19 flags at the end of a line of u.item (the archive's u.genre)."""


class Files(Protocol):
    """Some files by name."""

    def path(self, name: str) -> str:
        """How to call the file in a message."""

    def has(self, name: str) -> bool: ...

    def open(self, name: str) -> BinaryIO: ...

    def identity(self, names: tuple[str, ...]) -> Any:
        """Changes whenever one of these files does."""


@dataclass(frozen=True)
class ArchiveFolder:
    """Files of a folder."""

    folder: Path

    def path(self, name: str) -> str:
        return str(self.folder / name)

    def has(self, name: str) -> bool:
        return (self.folder / name).is_file()

    def open(self, name: str) -> BinaryIO:
        return (self.folder / name).open("rb")

    def identity(self, names: tuple[str, ...]) -> Any:
        return [file_identity(self.folder / name) for name in names if self.has(name)]


@dataclass(frozen=True)
class Zip:
    """Files of a zip archive, whichever folder of it they are in."""

    file: Path

    def path(self, name: str) -> str:
        return f"{self.file}:{name}"

    def has(self, name: str) -> bool:
        return self._member(name) is not None

    def open(self, name: str) -> BinaryIO:
        with zipfile.ZipFile(self.file) as archive:
            # the member keeps the file open after the archive object is closed
            return archive.open(self._member(name) or name)  # type: ignore[return-value]

    def identity(self, names: tuple[str, ...]) -> Any:
        return file_identity(self.file)

    def _member(self, name: str) -> str | None:
        with clear_errors(str(self.file), "a zip archive"), zipfile.ZipFile(self.file) as archive:
            found = [member for member in archive.namelist() if member.rpartition("/")[2] == name]
        return min(found, key=len, default=None)


@dataclass(frozen=True, kw_only=True)
class Layout:
    """File names of a published form, and how to read them."""

    interactions: str
    items: str
    read: Callable[[Files, str, str], Raw]

    @property
    def names(self) -> tuple[str, str]:
        return (self.interactions, self.items)

    def raw(self, files: Files) -> Raw:
        return self.read(files, self.interactions, self.items)


def _table(files: Files, name: str, **options: Any) -> Any:
    import pyarrow as pa

    def opener() -> Any:
        stream = files.open(name)
        return pa.CompressedInputStream(pa.PythonFile(stream), "gzip") if name.endswith(".gz") else stream

    return csv_table(files.path(name), opener, **options)


def _delimited(files: Files, name: str, columns: dict[str, str], **options: Any) -> ChunkSource:
    return lambda with_rating: read_interactions(_table(files, name, **options), columns, with_rating)


def _optional_items(files: Files, name: str, read: Callable[[], ItemTable]) -> Callable[[], ItemTable | None]:
    return lambda: read() if files.has(name) else None


def _read_movielens_csv(files: Files, ratings: str, movies: str) -> Raw:
    columns = {"user": "userId", "item": "movieId", "time": "timestamp", "rating": "rating"}
    return Raw(
        interactions=[_delimited(files, ratings, columns)],
        items=_optional_items(files, movies, lambda: read_items(_table(files, movies), "movieId")),
    )


def _read_movielens_1m(files: Files, ratings: str, movies: str) -> Raw:
    header = ["user", "item", "rating", "time"]
    columns = {role: role for role in ("user", "item", "time", "rating")}

    def items() -> ItemTable:
        rows = [line.split("::") for line in _lines(files, movies)]
        return _movies(files.path(movies), [(row[0], row[1], row[2]) for row in rows if len(row) == 3], len(rows))

    return Raw(
        interactions=[_delimited(files, ratings, columns, delimiter=":", doubled=True, header=header, quoted=False)],
        items=_optional_items(files, movies, items),
    )


def _read_movielens_100k(files: Files, ratings: str, movies: str) -> Raw:
    header = ["user", "item", "rating", "time"]

    def items() -> ItemTable:
        rows = [line.split("|") for line in _lines(files, movies)]
        good = [row for row in rows if len(row) == 5 + len(ML100K_GENRES)]
        genres = (
            "|".join(
                name for name, flag in zip(ML100K_GENRES, row[5:], strict=True) if flag == "1" and name != "unknown"
            )
            for row in good
        )
        movies_ = [(row[0], row[1], labels) for row, labels in zip(good, genres, strict=True)]
        return _movies(files.path(movies), movies_, len(rows))

    return Raw(
        interactions=[
            _delimited(files, ratings, {name: name for name in header}, delimiter="\t", header=header, quoted=False)
        ],
        items=_optional_items(files, movies, items),
    )


def _lines(files: Files, name: str) -> list[str]:
    """Lines of an old MovieLens movie table, which is Latin-1."""
    with clear_errors(files.path(name), "a MovieLens movie table"), files.open(name) as stream:
        text = stream.read().decode("latin-1")
    # not `splitlines`, which also splits at characters that a title may hold
    return [line.removesuffix("\r") for line in text.split("\n") if line.strip()]


def _movies(path: str, rows: list[tuple[str, str, str]], lines: int) -> ItemTable:
    if len(rows) < lines:
        raise UserError(f"cannot read {path}: {lines - len(rows)} lines are not of the published form; fetch it again")
    ids, titles, genres = (list(column) for column in zip(*rows, strict=True)) if rows else ([], [], [])
    return ItemTable(ids=ids, columns={"title": titles, "genres": genres})


def _read_s3rec(files: Files, sequences: str, attributes: str) -> Raw:
    def interactions(with_rating: bool) -> Iterator[Chunk]:
        if with_rating:
            raise UserError(f"data.min_rating needs ratings, and {files.path(sequences)} has none; use 0")
        with clear_errors(files.path(sequences), "lines of 'user item item …'"), files.open(sequences) as stream:
            try:
                lines = [np.array(line.split(), np.int64) for line in stream if line.strip()]
            except ValueError as error:
                raise UserError(f"cannot read {files.path(sequences)}: {error}; fetch it again") from None
        if lines:
            lengths = [len(line) - 1 for line in lines]
            yield Chunk(
                user=np.repeat([line[0] for line in lines], lengths),
                item=np.concatenate([line[1:] for line in lines]),
                time=np.concatenate([np.arange(length) for length in lengths]),
                ordered=True,
            )

    def items() -> ItemTable:
        with files.open(attributes) as stream:
            try:
                table: dict[str, list[int]] = json.load(stream)
            except ValueError as error:
                raise UserError(f"cannot read {files.path(attributes)} as JSON: {error}; fetch it again") from None
        return ItemTable(ids=list(table), columns={"attributes": ["|".join(map(str, v)) for v in table.values()]})

    return Raw(interactions=[interactions], items=_optional_items(files, attributes, items))


def _read_prepared(files: Files, interactions: str, items: str) -> Raw:
    def chunks(with_rating: bool) -> Iterator[Chunk]:
        table = _table(files, interactions)
        # `position` is the order: ties in time are broken there already, and times may be missing
        columns = {"user": "user_id", "item": "item_id", "time": "position"}
        for column in columns.values():
            if column not in table.columns:
                raise UserError(
                    f"{table.name} has no column {column!r}; columns there: {', '.join(table.columns)[:400]}"
                )
        columns |= {
            role: name for role, name in {"rating": "rating", "clock": "timestamp"}.items() if name in table.columns
        }
        for chunk in read_interactions(table, columns, with_rating):
            yield replace(chunk, ordered=True)

    return Raw(
        interactions=[chunks],
        items=_optional_items(files, items, lambda: read_items(_table(files, items), "item_id")),
    )


PREPARED = Layout(interactions="interactions.csv.gz", items="items.csv.gz", read=_read_prepared)
MOVIELENS_CSV = Layout(interactions="ratings.csv", items="movies.csv", read=_read_movielens_csv)
MOVIELENS_1M = Layout(interactions="ratings.dat", items="movies.dat", read=_read_movielens_1m)
MOVIELENS_100K = Layout(interactions="u.data", items="u.item", read=_read_movielens_100k)


def s3rec(stem: str) -> Layout:
    """Files of the S3-Rec repository: sequences of item numbers, and numeric attributes of items."""
    return Layout(interactions=f"{stem}.txt", items=f"{stem}_item2attributes.json", read=_read_s3rec)
