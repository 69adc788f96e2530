"""Delimited text: CSV, TSV and their relatives. Arrow parses; what the file does not say is found from its beginning.

Values are read as text, so that ids come out as they were written ("007" stays "007"). Separator, quoting, encoding and
header are guessed from the first 64 KiB; a guess that the file's suffix does not say is a note.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fame.errors import UserError
from fame.tables.encodings import HEAD_BYTES, UTF8, decode, not_text, not_utf8
from fame.tables.line_ends import LineCounter, check_line_ends
from fame.tables.places import DataFile
from fame.tables.sniffing import (
    NAMED,
    find_escape,
    guess_separator,
    header_lines,
    is_headless,
    is_list_text,
    is_quoted,
    sample,
    skip_beginning,
)
from fame.tables.table import MISSING_WORDS, FileTable, clear_errors, unique_labels

if TYPE_CHECKING:
    import pyarrow as pa

BLOCK_BYTES = 16 << 20
SPELLED = {"tab": "\t", "\\t": "\t", "comma": ",", "semicolon": ";", "pipe": "|", "bar": "|", "space": " "}
"""Other ways to write a separator on a command line."""
TYPED_NAME = re.compile(r"(?P<name>[^:]+):(?P<kind>token|token_seq|float|float_seq)")
"""A column name of RecBole's atomic files."""


@dataclass(frozen=True, kw_only=True)
class Reading:
    """The user's settings for delimited files; None: the reader finds out."""

    separator: str | None = None
    encoding: str | None = None
    time_position: int | None = None
    """Position of the time where every column is given by number: then the file may have no header."""


def checked_separator(text: str) -> str:
    """A separator as it is meant. Raises `UserError` unless it is one."""
    separator = SPELLED.get(text.lower(), text)
    if separator != "::" and (len(separator) != 1 or not separator.isascii() or separator in '"\r\n\0'):
        raise UserError(
            f"data.separator = {text!r}: must be one character, '::', or one of tab, comma, semicolon, pipe, space"
        )
    return separator


def checked_encoding(text: str) -> str:
    """An encoding that Python knows. Raises `UserError` for any other."""
    try:
        "a".encode(text)
    except (LookupError, UnicodeError, ValueError):
        raise UserError(
            f"data.encoding = {text!r}: is no known text encoding; use for example utf-8, latin-1, cp1252 or utf-16"
        ) from None
    return text


def open_delimited(file: DataFile, usual: str, reading: Reading) -> FileTable:
    """The table in a delimited file; `usual` is the separator that its suffix says."""
    expected = "TSV" if usual == "\t" else "CSV"
    with clear_errors(file.name, expected):
        with file.stream() as stream:
            head = stream.read(HEAD_BYTES)
        text, encoding = decode(file, head, reading.encoding, expected)
    skip, text, stated = skip_beginning(text)
    if not text.strip():
        raise UserError(f"{file.name} is empty; it needs a header line and rows")
    separator = reading.separator or stated or guess_separator(text, usual)
    width = len(sample(text, separator, True)[0])
    escape = find_escape(text, separator, width)
    quoted = escape is not None or is_quoted(text, separator, width)
    rows = sample(text, separator, quoted, escape)
    names = [_bare(name) for name in rows[0]]
    if len(rows) > 1 and all(len(row) == len(names) + 1 for row in rows[1:]):
        # R leaves the row names' column without a name; a separator at the end of each row makes a nameless one, too
        names = [*names, ""] if all(row[-1] == "" for row in rows[1:]) else ["", *names]
    headless = is_headless(names, reading.time_position)
    notes = []
    if escape is not None:
        notes.append(f"{file.name}: quotation marks within fields are written after a backslash")
    if separator != (reading.separator or usual):
        notes.append(f"{file.name}: columns are separated by {NAMED.get(separator, repr(separator))}")
    if encoding != (reading.encoding or UTF8):
        notes.append(f"{file.name}: read as {encoding}")
    table = csv_table(
        file.name,
        file.stream,
        delimiter=separator[0],
        doubled=separator == "::",
        header=[str(number) for number in range(1, len(names) + 1)] if headless else names,
        skip=skip + (0 if headless else header_lines(text, separator, quoted)),
        encoding=encoding,
        quoted=quoted,
        escape=escape,
        own=file,
    )
    typed = [TYPED_NAME.fullmatch(name) for name in names]
    lists: frozenset[str] = frozenset()
    if all(typed):
        lists = frozenset(match["name"] for match in typed if match and match["kind"].endswith("_seq"))
    elif not headless and len(rows) > 1:
        lists = frozenset(n for n, cell in zip(table.columns, rows[1], strict=False) if is_list_text(cell))
    return FileTable(
        name=file.name,
        columns=table.columns,
        read=table.read,
        lists=lists,
        repeated=frozenset(name for name in names if name and names.count(name) > 1),
        headless=", ".join(names) if headless else "",
        blanks=True,
        notes=tuple(notes),
    )


def csv_table(
    name: str,
    opener: Callable[[], Any],
    *,
    delimiter: str = ",",
    doubled: bool = False,
    header: list[str] | None = None,
    skip: int = 0,
    encoding: str = UTF8,
    quoted: bool = True,
    escape: str | None = None,
    own: DataFile | None = None,
) -> FileTable:
    """A delimited text table. `header` names the columns of a file that does not do so itself.

    `doubled` says that the separator is the delimiter twice, `escape` which character stands before marks in fields. A
    file of the user's is `own`: there unquoted words such as NULL are missing values, and quoted fields that hold line
    ends are looked at.
    """
    expected = "TSV" if delimiter == "\t" else "CSV"
    if header is None:
        with clear_errors(name, expected):
            header, skip = _read_header(name, opener, delimiter, encoding, expected), 1
    labels = unique_labels([_untyped(name) for name in header])
    # Arrow's delimiter is one character: "::" is read as ":" with an empty column in between
    names = [part for label in labels for part in (label, f"\0{label}")][:-1] if doubled else labels

    def read(columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        import pyarrow as pa
        from pyarrow import csv as arrow_csv

        rows = 0
        with clear_errors(name, expected), opener() as stream:
            lines = LineCounter(stream)
            try:
                for batch in arrow_csv.open_csv(
                    lines if own and quoted else stream,
                    read_options=arrow_csv.ReadOptions(
                        block_size=BLOCK_BYTES, column_names=names, skip_rows=skip, encoding=encoding
                    ),
                    parse_options=arrow_csv.ParseOptions(
                        delimiter=delimiter,
                        quote_char='"' if quoted else False,
                        escape_char=escape or False,
                        newlines_in_values=quoted,
                    ),
                    convert_options=arrow_csv.ConvertOptions(
                        column_types={c: pa.string() for c in columns},
                        include_columns=list(columns),
                        null_values=_missing_words(escape) if own else None,
                        strings_can_be_null=own is not None,
                        quoted_strings_can_be_null=False,
                    ),
                ):
                    rows += batch.num_rows
                    yield batch
            except pa.ArrowInvalid as error:
                if own and "invalid UTF8" in str(error):
                    raise not_utf8(own, expected) from None
                if own and quoted:
                    check_line_ends(name, opener, delimiter, encoding, escape)
                raise
        if own and quoted and lines.count > rows + skip:
            check_line_ends(name, opener, delimiter, encoding, escape)

    return FileTable(name=name, columns=labels, read=read)


def _missing_words(escape: str | None) -> list[str]:
    """Words that stand for no value. Arrow takes the backslash of an escaped `\\N` away."""
    return [*MISSING_WORDS, *(["N"] if escape else [])]


def _untyped(name: str) -> str:
    """A column name of RecBole's atomic files without its type."""
    return match["name"] if (match := TYPED_NAME.fullmatch(name)) else name


def _bare(name: str) -> str:
    """A column name without the blanks around it, and without marks that follow a blank."""
    name = name.strip()
    return name[1:-1] if len(name) > 1 and name[0] == name[-1] == '"' else name


def _read_header(name: str, opener: Callable[[], Any], delimiter: str, encoding: str, expected: str) -> list[str]:
    """The column names of a published file."""
    with opener() as stream:
        head = stream.read(HEAD_BYTES)
    if not head.strip():
        raise UserError(f"{name} is empty; it needs a header line and rows")
    line = head.partition(b"\n")[0]
    if b"\0" in head or (len(line) == len(head) == HEAD_BYTES):
        raise not_text(name, expected)
    return next(csv.reader(io.StringIO(line.removeprefix(codecs.BOM_UTF8).decode(encoding)), delimiter=delimiter))
