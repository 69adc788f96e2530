"""JSON: lines, one array, or records one after the other. DuckDB parses.

Each value keeps the type that the file gives it: "2024-01-05" and "7" are texts, whatever they look like. A field may be
missing in some records, appear late, or be of several types.
"""

from __future__ import annotations

import ast
import codecs
import io
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any

from fame.errors import UserError
from fame.tables.encodings import not_utf8
from fame.tables.places import DataFile
from fame.tables.table import FileTable, clear_errors

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

ROWS_IN_BATCH = 1 << 17
RECORDS_LOOKED_AT = 20_480
"""Records that tell which fields there are; a field that only later ones have must be named."""
LARGEST_RECORD = 256 << 20
"""Bytes of one record."""
OF_PYTHON = (b"{'", b"{u'")
"""First bytes of a dictionary as Python prints it."""
READ_DIRECTLY = (None, "gzip", "zstd")
"""Compressions that DuckDB reads itself."""


def open_json(file: DataFile, encoding: str | None, wanted: Sequence[str]) -> FileTable:
    """The table in a JSON file. `wanted`: fields that the user names, which are looked for in the whole file."""
    with _readable(file, encoding) as (connection, source):
        fields = _fields(connection, file, source, RECORDS_LOOKED_AT)
        if not set(wanted) <= set(fields):
            fields = _fields(connection, file, source, -1)
        if not fields:
            raise UserError(f"{file.name} has no rows; it needs records with a user, an item and a time")
        lists = _lists(connection, file, source, fields)

    def read(columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        with _readable(file, encoding) as (connection, source):
            yield from _batches(connection, file, source, columns, lists)

    return FileTable(name=file.name, columns=fields, read=read, lists=lists)


@contextmanager
def _readable(file: DataFile, encoding: str | None) -> Iterator[tuple[duckdb.DuckDBPyConnection, str]]:
    """A connection, and the file's path for it. What DuckDB cannot read itself is copied to a temporary file."""
    import duckdb

    with clear_errors(file.name, "JSON"):
        compression = file.compression()
        plain = file.filesystem is None and encoding is None and compression in READ_DIRECTLY
        if plain:
            with file.stream() as stream:
                head = stream.read(4)
            plain = not head.startswith((b"\xff\xfe", b"\xfe\xff", b"\xef\xbb\xbf", *OF_PYTHON))
    with temporary_folder() as folder, duckdb.connect(config=_settings(folder)) as connection:
        path, method = file.path, compression or "none"
        if not plain:
            path, method = os.path.join(folder, "copy.json"), "none"
            with clear_errors(file.name, "JSON"):
                _copy(file, path, encoding)
        # the path as a value and not as a pattern: * and [ are characters of a name
        pattern = re.sub(r"([*?\[\]])", r"[\1]", path)
        yield connection, f"{_text(pattern)}, compression = '{method}', maximum_object_size = {LARGEST_RECORD}"


@contextmanager
def temporary_folder() -> Iterator[str]:
    """A folder that goes with the block, also where a reader that nobody ends holds it: Python's own would warn then."""
    folder = tempfile.mkdtemp(prefix="fame-json-")
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _settings(folder: str) -> dict[str, Any]:
    return {
        "threads": min(4, os.cpu_count() or 1),
        "temp_directory": folder,
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
    }


def _copy(file: DataFile, path: str, encoding: str | None) -> None:
    """The file's content as UTF-8 without compression."""
    with file.stream() as stream, open(path, "wb") as target:
        head = stream.read(4)
        if head.startswith(OF_PYTHON):
            _write_as_json(file, encoding, target)
            return
        mark = next(
            (name for bom, name in ((b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16")) if head.startswith(bom)), None
        )
        if encoding is None and mark is None:
            target.write(head.removeprefix(b"\xef\xbb\xbf"))
            shutil.copyfileobj(stream, target, 1 << 20)
            return
        decoder = codecs.getincrementaldecoder(encoding or mark or "utf-8")()
        piece = head
        while piece:
            target.write(decoder.decode(piece).removeprefix("\ufeff").encode("utf-8", "surrogatepass"))
            piece = stream.read(1 << 20)
        target.write(decoder.decode(b"", final=True).encode())


def _write_as_json(file: DataFile, encoding: str | None, target: IO[bytes]) -> None:
    """Write lines of Python's dictionaries as JSON lines. The Amazon data of 2014 has them."""
    number = 0
    try:
        with file.stream() as stream, io.TextIOWrapper(stream, encoding=encoding or "utf-8") as lines:
            for line in lines:
                number += 1
                if line.strip():
                    record = ast.literal_eval(line.strip())
                    target.write(json.dumps(record, default=str).encode() + b"\n")
    except UnicodeDecodeError:
        raise not_utf8(file, "JSON") from None
    except (ValueError, SyntaxError, RecursionError, MemoryError, TypeError):
        raise UserError(
            f"cannot read {file.name} as JSON: line {number} is no dictionary of Python, unlike line 1; correct it"
        ) from None


def _fields(connection: Any, file: DataFile, source: str, records: int) -> list[str]:
    query = f"DESCRIBE SELECT * FROM read_json({source}, sample_size = {records}, maximum_depth = 1)"
    rows = _run(connection, file, query).fetchall()
    if [row[0] for row in rows] == ["json"]:  # what DuckDB calls the column of values that are no records
        looked_at = _run(
            connection,
            file,
            f"SELECT json_type(json) FROM read_json({source}, columns = {{'json': 'JSON'}}, records = false) LIMIT 1",
        ).fetchall()
        if looked_at and looked_at[0][0] != "OBJECT":
            raise UserError(
                f"cannot read {file.name} as JSON: its values are no records; it needs objects such as "
                '{"user": 1, "item": 2, "time": 3}'
            )
    return [row[0] for row in rows]


def _lists(connection: Any, file: DataFile, source: str, fields: Sequence[str]) -> frozenset[str]:
    """Fields whose first value is a list."""
    kinds = ", ".join(f"first(json_type({_name(f)})) FILTER (json_type({_name(f)}) <> 'NULL')" for f in fields)
    query = f"SELECT {kinds} FROM (SELECT * FROM read_json({source}, columns = {_columns(fields)}) LIMIT 1000)"
    (found,) = _run(connection, file, query).fetchall()
    return frozenset(field for field, kind in zip(fields, found, strict=True) if kind == "ARRAY")


def _batches(
    connection: Any, file: DataFile, source: str, columns: Sequence[str], lists: frozenset[str]
) -> Iterator[pa.RecordBatch]:
    import duckdb

    chosen = ", ".join(_as_list(name) if name in lists else _as_text(name) for name in columns)
    query = f"SELECT {chosen} FROM read_json({source}, columns = {_columns(columns)})"
    try:
        yield from connection.sql(query).to_arrow_reader(ROWS_IN_BATCH)
    except duckdb.Error as error:
        raise _unreadable(file, error) from None


def _as_text(field: str) -> str:
    """SQL for a value as text: a whole number as integer, nested values as JSON."""
    name = _name(field)
    return (
        f"CASE json_type({name}) WHEN 'DOUBLE' THEN regexp_replace({name} ->> '$', '^(-?[0-9]+)\\.0$', '\\1') "
        f"ELSE {name} ->> '$' END AS {name}"
    )


def _as_list(field: str) -> str:
    """SQL for a list as list of texts."""
    name = _name(field)
    return (
        f"CASE WHEN json_type({name}) = 'ARRAY' THEN list_transform(from_json({name}, '[\"JSON\"]'), "
        "lambda x: CASE json_type(x) WHEN 'NULL' THEN NULL "
        "WHEN 'DOUBLE' THEN regexp_replace(x ->> '$', '^(-?[0-9]+)\\.0$', '\\1') ELSE x ->> '$' END) "
        f"WHEN json_type({name}) = 'NULL' OR {name} IS NULL THEN NULL ELSE [{name} ->> '$'] END AS {name}"
    )


def _columns(fields: Sequence[str]) -> str:
    return "{" + ", ".join(f"{_text(field)}: 'JSON'" for field in fields) + "}"


def _run(connection: Any, file: DataFile, query: str) -> Any:
    import duckdb

    try:
        return connection.execute(query)
    except duckdb.Error as error:
        raise _unreadable(file, error) from None


def _unreadable(file: DataFile, error: Exception) -> UserError:
    """DuckDB's message without its advice, in one line that names the user's file."""
    if "invalid UTF-8" in str(error):
        return not_utf8(file, "JSON")
    text = "".join(c if c.isprintable() else " " for c in str(error).split("\n")[0])
    text = re.sub(r'in file "[^"]*",?', "", text).partition(". Try ")[0]
    text = re.sub(r"^\w+( \w+)? Error: ", "", " ".join(text.split()))[:160].rstrip(".")
    # DuckDB counts the line that it would read next
    text = re.sub(r"in (line|record/value) (\d+)", lambda match: f"in {match[1]} {max(1, int(match[2]) - 1)}", text)
    return UserError(f"cannot read {file.name} as JSON: {text}; check that it is one and complete")


def _name(field: str) -> str:
    return '"' + field.replace('"', '""') + '"'


def _text(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
