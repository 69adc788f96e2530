"""Opens the user's tables, whatever their form, and reads interactions and item texts from them.

Arrow parses delimited text and Parquet, DuckDB parses JSON: `docs/DATA.md` has the forms and the rules. Every way in which
a file can be unreadable ends in one `UserError`.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from fame.datasets.delimited import Reading, open_delimited
from fame.datasets.entry import Chunk
from fame.datasets.histories import one_row_each
from fame.datasets.json_files import open_json
from fame.datasets.parquet_files import open_parquet
from fame.datasets.places import DataFile
from fame.datasets.tables import FileTable, TableBatch, clear_errors, joined
from fame.datasets.where import RowCondition
from fame.errors import UserError

if TYPE_CHECKING:
    import pyarrow as pa

ROLES = ("user", "item", "time", "rating")
ITEM_ROLES = ("item_id", "title")
"""Roles of the item table's columns."""
REQUIRED = ("user", "item", "time")
USUAL_NAMES = {
    "user": ("userid", "user"),
    "item": ("itemid", "item", "movieid"),
    "time": ("timestamp", "time", "unixtime", "datetime", "date"),
    "rating": ("rating",),
}
"""Column names that need no `--columns`, compared in lower case without `_`, `-` and blanks, best first."""
USUAL_LISTS = {
    "item": ("itemidlist", "itemids", "itemlist", "items", "itemsequence", "itemhistory", "history", "sequence"),
    "time": ("timestamplist", "timestamps", "timelist", "times"),
    "rating": ("ratinglist", "ratings"),
}
"""The same for columns whose cells are lists."""
SEPARATED = {
    ".csv": ",",
    ".tsv": "\t",
    ".tab": "\t",
    ".psv": "|",
    ".txt": "\t",
    ".dat": "\t",
    ".inter": "\t",
    ".item": "\t",
}
"""Suffixes of delimited text, and the separator that each says."""
PARQUET = (".parquet", ".pq", ".parq")
JSON = (".jsonl", ".ndjson", ".json")
COMPRESSED = (".gz", ".bz2", ".zst", ".lz4")


def open_table(
    files: Sequence[DataFile], option: str, reading: Reading | None = None, wanted: Sequence[str] = ()
) -> FileTable:
    """The rows of all files as one table. `wanted`: columns that the user names."""
    reading = reading or Reading()
    kinds = {_kind(file) for file in files}
    if len(kinds) > 1:
        raise UserError(
            f"{option} names files of different formats: {', '.join(sorted(kinds))}; give one format, for example with "
            "a glob such as FOLDER/*.parquet"
        )
    tables = [_open(file, reading, wanted) for file in files]
    return tables[0] if len(tables) == 1 else joined(f"{files[0].name} and {len(files) - 1} more", tables)


def _kind(file: DataFile) -> str:
    """The format that a file's suffix says; for a file without one, its first bytes."""
    parts = file.base.lower().split(".")
    suffixes = [f".{part}" for part in parts[1:]]
    kind = (
        suffixes[-2] if suffixes[-1:] and suffixes[-1] in COMPRESSED and len(suffixes) > 1 else "".join(suffixes[-1:])
    )
    if kind in SEPARATED or kind in PARQUET or kind in JSON:
        return kind
    if not suffixes:
        with clear_errors(file.name, "a table"), file.stream() as stream:
            head = stream.read(256)
        if head.startswith(b"PAR1"):
            return ".parquet"
        return ".json" if head.lstrip()[:1] in (b"{", b"[") else ".txt"
    known = [*SEPARATED, *PARQUET, *JSON]
    raise UserError(
        f"{file.name}: the suffix {kind} names no known format; use one of {', '.join(known)}, the text formats also "
        f"with {', '.join(COMPRESSED)}"
    )


def _open(file: DataFile, reading: Reading, wanted: Sequence[str]) -> FileTable:
    kind = _kind(file)
    if kind in SEPARATED:
        table = open_delimited(file, SEPARATED[kind], reading)
    elif kind in PARQUET:
        table = open_parquet(file)
    else:
        table = open_json(file, reading.encoding, [name for name in wanted if name not in file.partition])
    constants = tuple((key, value) for key, value in file.partition.items() if key not in table.columns)

    def read(columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        with clear_errors(file.name, "a table"):
            file.check_unchanged()
        yield from table.read(columns)

    columns = table.columns + [key for key, _ in constants]
    return dataclasses.replace(table, columns=columns, constants=constants, read=read)


def choose_columns(table: FileTable, given: Mapping[str, str] | None) -> dict[str, str]:
    """Column of `table` for each role: those given by name or number, else those with a usual name."""
    given = dict(given or {})
    chosen = {}
    for role, name in given.items():
        if role not in ROLES:
            known = ", ".join((*ROLES, *ITEM_ROLES))
            raise UserError(f"data.columns: unknown role {role!r}; the roles are {known}")
        chosen[role] = find_column(table, name, role)
    if table.headless and not given:
        raise UserError(
            f"{table.name}: the first line looks like a row, not like column names ({table.headless[:80]}); name the columns by number, "
            "for example --columns user=1,item=2,time=3"
        )
    plain = {plain_column(name): name for name in reversed(table.columns)}
    plain_lists = {plain_column(name): name for name in reversed(table.columns) if name in table.lists}
    for role in ROLES:
        if role not in chosen:
            usual = [plain[name] for name in USUAL_NAMES[role] if name in plain]
            usual += [plain_lists[name] for name in USUAL_LISTS.get(role, ()) if name in plain_lists]
            usual = [name for name in usual if name not in chosen.values()]
            chosen |= {role: usual[0]} if usual else {}
        needed = role in REQUIRED and not (role == "time" and chosen.get("item") in table.lists)
        if needed and role not in chosen:
            twice = [name for name in table.repeated if plain_column(name) in USUAL_NAMES[role]]
            if twice:
                raise _repeated(table, twice[0], role)
            raise UserError(
                f"{table.name}: which column is the {role}? Name it with --columns {role}=NAME; {columns_there(table)}"
            )
    if len(set(chosen.values())) < len(chosen):
        raise UserError(f"data.columns = {given}: the same column is used twice; give each role its own")
    for part in table.parts:
        for role, name in chosen.items():
            if name not in part.columns:
                raise UserError(
                    f"{part.name} has no column {name!r} ({role}), unlike {table.parts[0].name}; {columns_there(part)}"
                )
    return chosen


def find_column(table: FileTable, name: str, role: str) -> str:
    """The column with this name or, if there is none, this number. Raises `UserError` if there is neither."""
    if name in table.columns:
        return name
    if name in table.repeated:
        raise _repeated(table, name, role)
    if name.isascii() and name.isdigit() and 1 <= int(name) <= len(table.columns):
        return table.columns[int(name) - 1]
    same = [column for column in table.columns if plain_column(column) == plain_column(name)]
    if len(same) == 1 and same[0].strip().lower() == name.strip().lower():
        return same[0]
    raise UserError(f"{table.name} has no column {name!r} ({role}); {columns_there(table)}")


def _repeated(table: FileTable, name: str, role: str) -> UserError:
    numbers = [
        column.rpartition("(column ")[2].rstrip(")") for column in table.columns if column.startswith(f"{name} (")
    ]
    return UserError(
        f"{table.name}: more than one column is named {name!r}; choose one by its number, for example --columns "
        f"{role}={numbers[0] if numbers else 1}"
    )


def columns_there(table: FileTable) -> str:
    one = "; if these are several, say what separates them with --separator" if len(table.columns) == 1 else ""
    return f"columns there: {', '.join(table.columns)[:400]}{one if table.blanks else ''}"


def plain_column(name: str) -> str:
    return re.sub(r"[\s_-]+", "", name.lower())


def read_interactions(
    table: FileTable, columns: Mapping[str, str], with_rating: bool, where: RowCondition | None = None
) -> Iterator[Chunk]:
    """The rows of a table as chunks, `columns` naming the column of each role."""
    if with_rating and "rating" not in columns:
        raise UserError(
            f"data.min_rating needs ratings, and {table.name} has none; "
            f"name the column with --columns rating=NAME ({columns_there(table)})"
        )
    roles = [role for role in (*ROLES, "clock") if role in columns and (role != "rating" or with_rating)]
    needed = list(dict.fromkeys([columns[role] for role in roles] + (where.columns if where else [])))
    batches: Iterable[TableBatch] = table.batches(needed)
    if where:
        batches = where.filter(batches)
    for batch in batches:
        chunk = Chunk(
            user=batch.columns.column(columns["user"]),
            item=batch.columns.column(columns["item"]),
            time=batch.columns.column(columns["time"]) if "time" in columns else None,
            rating=batch.columns.column(columns["rating"]) if with_rating else None,
            clock=batch.columns.column(columns["clock"]) if "clock" in columns else None,
            rows=batch.rows,
        )
        chunk = one_row_each(chunk, batch.rows) if columns["item"] in table.lists else chunk
        yield dataclasses.replace(chunk, read=batch.read, kept=batch.columns.num_rows)
