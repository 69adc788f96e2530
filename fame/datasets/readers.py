"""Reads tables in chunks: CSV, TSV, Parquet and JSON lines, gzip too, in bounded memory.

Arrow does the parsing. Text formats are read as text, so that ids come out as they were written
("007" stays "007"). Every way in which a file can be unreadable ends in one `UserError`.
"""

from __future__ import annotations

import csv
import io
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fame.datasets.entry import Chunk, ItemTable
from fame.errors import UserError

if TYPE_CHECKING:
    import pyarrow as pa

ROLES = ("user", "item", "time", "rating")
REQUIRED = ("user", "item", "time")
USUAL_NAMES = {
    "user": ("userid", "user"),
    "item": ("itemid", "item", "movieid"),
    "time": ("timestamp", "time", "unixtime", "datetime", "date"),
    "rating": ("rating",),
}
"""Column names that need no `--columns`, compared in lower case without `_`, best first."""
ITEM_ID_NAMES = ("item_id", "item", "id")
BLOCK_BYTES = 16 << 20
HEAD_BYTES = 1 << 16


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
        reason = "".join(c if c.isprintable() else " " for c in str(error) or type(error).__name__)
        reason = " ".join(reason.split())[:160]
        raise UserError(f"cannot read {name} as {expected}: {reason}; check that it is one and complete") from None


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table that can be read more than once: its column names, and its rows in batches."""

    name: str
    columns: list[str]
    batches: Callable[[Sequence[str]], Iterator[pa.RecordBatch]]
    """Reads the given columns."""


def check_file(path: Path) -> None:
    """Raise `UserError` unless this is a file with something in it."""
    if not path.exists():
        raise UserError(f"no such file: {path}")
    if not path.is_file():
        raise UserError(f"{path} is not a file; give a CSV, TSV, Parquet or JSON-lines file")
    if path.stat().st_size == 0:
        raise UserError(f"{path} is empty; it needs columns and rows")


def open_table(path: Path) -> Table:
    """The table in a file of the user's; its suffix says which format it is."""
    suffixes = [s.lower() for s in path.suffixes]
    kind = suffixes[-2] if suffixes[-1:] == [".gz"] and len(suffixes) > 1 else "".join(suffixes[-1:])
    openers: dict[str, Callable[[], Table]] = {
        ".csv": lambda: csv_table(str(path), lambda: _open_compressed(path)),
        ".tsv": lambda: csv_table(str(path), lambda: _open_compressed(path), delimiter="\t"),
        ".parquet": lambda: _parquet_table(path),
        ".pq": lambda: _parquet_table(path),
        ".jsonl": lambda: _json_table(path),
        ".ndjson": lambda: _json_table(path),
        ".json": lambda: _json_table(path),
    }
    if kind not in openers:
        raise UserError(
            f"{path}: the suffix {kind or 'of the name'} names no known format; "
            f"use one of {', '.join(openers)}, the text formats also with .gz"
        )
    return openers[kind]()


def _open_compressed(path: Path) -> Any:
    import pyarrow as pa

    return pa.input_stream(str(path), compression="detect")


def csv_table(
    name: str,
    opener: Callable[[], Any],
    *,
    delimiter: str = ",",
    header: list[str] | None = None,
    encoding: str = "utf8",
    quoted: bool = True,
) -> Table:
    """A delimited text table; `header` names the columns of a file that does not do so itself."""
    import pyarrow as pa
    from pyarrow import csv as arrow_csv

    expected = "TSV" if delimiter == "\t" else "CSV"
    with clear_errors(name, expected):
        names = header or _read_header(name, opener, delimiter, encoding, expected)
    repeated = sorted({n for n in names if names.count(n) > 1})
    if repeated:
        raise UserError(f"{name}: more than one column is named {', '.join(map(repr, repeated))}; rename them")

    def batches(columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        with clear_errors(name, expected), opener() as stream:
            yield from arrow_csv.open_csv(
                stream,
                read_options=arrow_csv.ReadOptions(
                    block_size=BLOCK_BYTES, column_names=names, skip_rows=0 if header else 1, encoding=encoding
                ),
                parse_options=arrow_csv.ParseOptions(
                    delimiter=delimiter, quote_char='"' if quoted else False, newlines_in_values=quoted
                ),
                convert_options=arrow_csv.ConvertOptions(
                    column_types={c: pa.string() for c in columns}, include_columns=list(columns)
                ),
            )

    return Table(name=name, columns=names, batches=batches)


def _read_header(name: str, opener: Callable[[], Any], delimiter: str, encoding: str, expected: str) -> list[str]:
    with opener() as stream:
        head = stream.read(HEAD_BYTES)
    if not head.strip():
        raise UserError(f"{name} is empty; it needs a header line and rows")
    line = head.partition(b"\n")[0]
    if b"\0" in head or (len(line) == len(head) == HEAD_BYTES):
        raise UserError(
            f"cannot read {name} as {expected}: it does not look like text; check that it is the right file"
        )
    text = line.removeprefix(b"\xef\xbb\xbf").decode(encoding)
    return next(csv.reader(io.StringIO(text), delimiter=delimiter))


def _parquet_table(path: Path) -> Table:
    from pyarrow import parquet

    with clear_errors(str(path), "Parquet"):
        names = parquet.read_schema(path).names

    def batches(columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        with clear_errors(str(path), "Parquet"), parquet.ParquetFile(path) as file:
            yield from file.iter_batches(batch_size=1 << 20, columns=list(columns))

    return Table(name=str(path), columns=names, batches=batches)


def _json_table(path: Path) -> Table:
    from pyarrow import json as arrow_json

    def blocks() -> Iterator[pa.RecordBatch]:
        with clear_errors(str(path), "JSON lines"), _open_compressed(path) as stream:
            yield from arrow_json.open_json(stream, read_options=arrow_json.ReadOptions(block_size=BLOCK_BYTES))

    with clear_errors(str(path), "JSON lines"):
        first = next(blocks(), None)
    if first is None:
        raise UserError(f"{path} has no rows; it needs a user, an item and a time in each line")
    return Table(
        name=str(path),
        columns=first.schema.names,
        batches=lambda columns: (block.select(list(columns)) for block in blocks()),
    )


def choose_columns(table: Table, given: Mapping[str, str] | None) -> dict[str, str]:
    """Column of `table` for each role: those given, else those with a usual name."""
    given = dict(given or {})
    there = f"columns there: {', '.join(table.columns)[:400]}"
    for role, column in given.items():
        if role not in ROLES:
            raise UserError(f"data.columns: unknown role {role!r}; the roles are {', '.join(ROLES)}")
        if column not in table.columns:
            raise UserError(f"{table.name} has no column {column!r} ({role}); {there}")
    plain = {name.lower().replace("_", ""): name for name in reversed(table.columns)}
    chosen = dict(given)
    for role in ROLES:
        usual = [plain[name] for name in USUAL_NAMES[role] if name in plain and plain[name] not in chosen.values()]
        if role not in chosen and usual:
            chosen[role] = usual[0]
        if role in REQUIRED and role not in chosen:
            raise UserError(f"{table.name}: which column is the {role}? Name it with --columns {role}=NAME; {there}")
    if len(set(chosen.values())) < len(chosen):
        raise UserError(f"data.columns = {given}: the same column is used twice; give each role its own")
    return chosen


def read_interactions(table: Table, columns: Mapping[str, str], with_rating: bool) -> Iterator[Chunk]:
    """The rows of a table as chunks, `columns` naming the column of each role."""
    if with_rating and "rating" not in columns:
        raise UserError(
            f"data.min_rating needs ratings, and {table.name} has none; "
            f"name the column with --columns rating=NAME (columns there: {', '.join(table.columns)[:400]})"
        )
    roles = [role for role in ROLES if role in columns and (role != "rating" or with_rating)]
    for batch in table.batches([columns[role] for role in roles]):
        yield Chunk(**{role: batch.column(columns[role]) for role in roles})


def read_items(table: Table, id_column: str) -> ItemTable:
    """A whole item table as text; a value that is missing is ""."""
    import pyarrow as pa

    ids: list[str] = []
    texts: dict[str, list[str]] = {name: [] for name in table.columns if name != id_column}
    with clear_errors(table.name, "an item table"):
        for batch in table.batches(table.columns):
            for name in table.columns:
                column = batch.column(name)
                if pa.types.is_nested(column.type):
                    values = ["" if v is None else "|".join(map(str, v)) for v in column.to_pylist()]
                else:
                    values = column.cast(pa.string()).fill_null("").to_pylist()
                (ids if name == id_column else texts[name]).extend(values)
    return ItemTable(ids=ids, columns=texts)


def item_id_column(table: Table, item_column: str) -> str:
    """Which column of an item table holds the ids."""
    choices = [item_column, *ITEM_ID_NAMES]
    for name in choices:
        if name in table.columns:
            return name
    raise UserError(
        f"{table.name} has no item id column (one of {', '.join(dict.fromkeys(choices))}); "
        f"columns there: {', '.join(table.columns)[:400]}"
    )
