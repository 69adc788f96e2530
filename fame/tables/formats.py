"""Opens tables by their format: Arrow parses delimited text and Parquet, DuckDB parses JSON.

`docs/DATA.md` has the forms and the rules. Every way in which a file can be unreadable ends in one `UserError`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from fame.errors import UserError
from fame.tables.delimited import Reading, open_delimited
from fame.tables.json_files import open_json
from fame.tables.parquet_files import open_parquet
from fame.tables.places import DataFile
from fame.tables.table import FileTable, clear_errors, joined

if TYPE_CHECKING:
    import pyarrow as pa

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
