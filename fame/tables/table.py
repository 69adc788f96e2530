"""A table that can be read more than once, in batches of rows that know their numbers in the file."""

from __future__ import annotations

import csv
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from fame.errors import UserError
from fame.remote import explained

if TYPE_CHECKING:
    import pyarrow as pa

MISSING_WORDS = ("", "NULL", "null", "NaN", "nan", "None", "NA", "N/A", "#N/A", "<NA>", "\\N")
"""Words without quotes in a text file that stand for no value. In quotes, in JSON and in Parquet they are text."""


@dataclass(frozen=True, kw_only=True)
class Rows:
    """The rows of a file that some values come from, for messages."""

    first: int = 1
    """Number of the first row; the row after the header is 1."""
    file: str | None = None
    """Named where the data is more than one file."""
    indices: np.ndarray | None = None
    """Position of each value's row after the first; None: one row after the other."""

    def name(self, index: int) -> str:
        """The row of value `index`, such as "row 37"."""
        number = self.first + int(index if self.indices is None else self.indices[index])
        return f"row {number}" + (f" of {self.file}" if self.file else "")

    def take(self, indices: np.ndarray) -> Rows:
        """The rows of a part of the values, or of repeated ones."""
        return replace(self, indices=indices if self.indices is None else self.indices[indices])


@dataclass(frozen=True, kw_only=True)
class TableBatch:
    """Some rows of a table."""

    columns: pa.RecordBatch
    rows: Rows
    read: int
    """Rows of the table that were read for it; a condition leaves fewer."""


@dataclass(frozen=True, kw_only=True)
class FileTable:
    """Column names, and the rows in batches."""

    name: str
    columns: list[str]
    """Each once. A column without a name has its number, a repeated name has the number behind it."""
    read: Callable[[Sequence[str]], Iterable[pa.RecordBatch]]
    """Reads the given columns of the rows of one file."""
    lists: frozenset[str] = frozenset()
    """Columns whose cells are lists."""
    repeated: frozenset[str] = frozenset()
    """Names that more than one column has."""
    headless: str = ""
    """The first line, where it looks like a row instead of column names: then the columns are called 1, 2, …"""
    blanks: bool = False
    """Whether blanks around a value are layout, as in a delimited text file."""
    notes: tuple[str, ...] = ()
    """Lines for the user about what the reader found out."""
    parts: tuple[FileTable, ...] = ()
    """The tables of the files, where there is more than one."""
    constants: tuple[tuple[str, str | None], ...] = ()
    """Columns that the folder's name gives: the same value for every row."""

    def batches(self, columns: Sequence[str]) -> Iterator[TableBatch]:
        """The given columns of all rows, in order."""
        for part in self.parts or (self,):
            first = 1
            for batch in part._with_constants(columns):
                rows = Rows(first=first, file=part.name if self.parts else None)
                yield TableBatch(columns=batch, rows=rows, read=batch.num_rows)
                first += batch.num_rows

    def _with_constants(self, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        import pyarrow as pa

        constants = dict(self.constants)
        there = [name for name in columns if name in self.columns and name not in constants]
        for batch in self.read(there):
            missing = [name for name in columns if name not in there]
            for name in missing:
                values = pa.repeat(pa.scalar(constants.get(name), pa.string()), batch.num_rows)
                batch = batch.append_column(name, values)
            yield batch


def joined(name: str, parts: Sequence[FileTable]) -> FileTable:
    """The rows of several files, one file after the other."""
    columns = list(dict.fromkeys(column for part in parts for column in part.columns))
    constants = list(dict.fromkeys(key for part in parts for key, _ in part.constants))
    notes = list(dict.fromkeys(note for part in parts for note in part.notes))
    return FileTable(
        name=name,
        columns=columns + [key for key in constants if key not in columns],
        read=lambda columns: iter(()),
        lists=frozenset().union(*(part.lists for part in parts)),
        repeated=frozenset().union(*(part.repeated for part in parts)),
        headless=parts[0].headless if all(part.headless for part in parts) else "",
        blanks=all(part.blanks for part in parts),
        notes=tuple(notes[:3] + ([f"and {len(notes) - 3} more such lines"] if len(notes) > 3 else [])),
        parts=tuple(parts),
    )


def unique_labels(names: Sequence[str]) -> list[str]:
    """Each column's name, with its number where it has none or another column has the same."""
    return [
        name if name and names.count(name) == 1 else f"{name} (column {number})".strip()
        for number, name in enumerate(names, start=1)
    ]


@contextmanager
def clear_errors(name: str, expected: str) -> Iterator[None]:
    """Turn whatever a parser or the file system raises into one line about the file `name`."""
    try:
        yield
    except UserError:
        raise
    except FileNotFoundError:
        raise UserError(f"no such file: {name}") from None
    except Exception as error:
        # imported here: finding a file must not need pyarrow, only reading it
        import pyarrow as pa

        unreadable = (pa.ArrowException, OSError, EOFError, UnicodeError, zlib.error, zipfile.BadZipFile, csv.Error)
        if not isinstance(error, unreadable):
            raise
        raise UserError(
            f"cannot read {name} as {expected}: {reason(error)}; check that it is one and complete"
        ) from None


def reason(error: Exception) -> str:
    """Return an error's message in one line of at most 160 characters."""
    text = "".join(c if c.isprintable() else " " for c in explained(error) or type(error).__name__)
    return " ".join(text.split())[:160]
