"""Finds the form of a delimited text from its beginning: separator, quoting, header."""

from __future__ import annotations

import csv
import io
import re

from fame.tables.dates import looks_like_time
from fame.tables.encodings import HEAD_BYTES
from fame.tables.line_ends import swallowed

SAMPLE_ROWS = 100
SEPARATORS = {
    ",": "commas",
    "\t": "tabs",
    ";": "semicolons",
    "|": "vertical bars",
    "::": "double colons",
    "\x01": "control-A characters",
}
"""Separators that are guessed, the usual ones first."""
NAMED = {**SEPARATORS, " ": "blanks"}
"""The name of each separator."""
SAME_SHARE = 0.9
"""Share of the first rows that must have as many fields as the header for a separator to fit."""


def skip_beginning(text: str) -> tuple[int, str, str | None]:
    """How many lines come before the header, the text from there on, and the separator that Excel's first line names."""
    skip, separator = 0, None
    while match := re.match(r"[^\S\r\n]*(?:\"?sep=(?P<separator>.)\"?)?[^\S\r\n]*(?:\r\n|\n|\r)", text):
        separator = match["separator"] or separator
        skip, text = skip + 1, text[match.end() :]
        if not text:
            break
    return skip, text, separator


def header_lines(text: str, separator: str, quoted: bool) -> int:
    """How many lines the header has: more than one where a quoted name holds line ends."""
    if not quoted or len(separator) > 1:
        return 1
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    next(reader)
    return reader.line_num


def sample(text: str, separator: str, quoted: bool, escape: str | None = None) -> list[list[str]]:
    """The first rows, split into fields; a row that the beginning of the file cuts off is left out."""
    if quoted and len(separator) == 1:
        rows = []
        try:
            for row in csv.reader(io.StringIO(text, newline=""), delimiter=separator, escapechar=escape):
                rows += [row] if row else []
                if len(rows) > SAMPLE_ROWS:
                    break
        except csv.Error:
            pass
    else:
        lines = [line for line in re.split(r"\r\n|\n|\r", text) if line.strip()]
        rows = [line.split(separator) for line in lines[: SAMPLE_ROWS + 1]]
    whole = len(text) < HEAD_BYTES // 4 or len(rows) > SAMPLE_ROWS
    return (rows if whole or len(rows) < 3 else rows[:-1]) or [[text[:80]]]


def guess_separator(text: str, usual: str) -> str:
    """The suffix's separator if it fits the first rows, else the one that makes most columns, at last a blank."""
    fitting = {separator: width for separator in (usual, *SEPARATORS) if (width := _fitting_width(text, separator))}
    if usual in fitting:
        return usual
    if not fitting:
        return " " if _fitting_width(text, " ") else usual
    # "::" splits by ":" as well, never the other way round
    return max(fitting, key=lambda separator: (fitting[separator], len(separator)))


def _fitting_width(text: str, separator: str) -> int:
    """How many columns a separator makes, 0 if it makes one or the rows differ."""
    rows = sample(text, separator, True)
    width = len(rows[0])
    same = sum(len(row) in (width, width + 1) for row in rows[1:])
    return width if width > 1 and same >= SAME_SHARE * (len(rows) - 1) else 0


def is_quoted(text: str, separator: str, width: int) -> bool:
    """Whether quotation marks around fields are marks, and not text of a field."""
    if len(separator) > 1:
        return False
    opened = re.search(rf'(?:^|[\r\n]|{re.escape(separator)})"', text)
    if not opened:
        return separator != "\t"  # a mark may come later: in CSV it is one, in TSV a character
    fits = _fits_quoted(text, separator, width)
    if separator == "\t" or fits:
        return fits
    plain = sample(text, separator, False)
    return any(len(row) != width for row in plain)


def find_escape(text: str, separator: str, width: int) -> str | None:
    """The backslash where marks within quoted fields stand after one, as MySQL writes them, instead of being doubled."""
    if len(separator) > 1 or '\\"' not in text or _fits_quoted(text, separator, width):
        return None
    return "\\" if _fits_quoted(text, separator, width, "\\") else None


def _fits_quoted(text: str, separator: str, width: int, escape: str | None = None) -> bool:
    """Whether the marks pair up so that every row has all fields and none has swallowed the next row."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, escapechar=escape, strict=True)
    rows: list[list[str]] = []
    try:
        rows.extend(row for row in reader if row)
    except csv.Error as error:
        cut = "unexpected end of data" in str(error) and len(text) > HEAD_BYTES // 2
        if not cut:
            return False
    if len(text) > HEAD_BYTES // 2:
        rows = rows[:-1]
    return all(
        len(row) in (width, width + 1) and not any(swallowed(field, k, separator) for k, field in enumerate(row))
        for row in rows
    )


def is_headless(names: list[str], time_position: int | None) -> bool:
    """Whether the first line is a row: it has a time at its place, or nothing but numbers and times where none is known."""
    if time_position is not None:
        return time_position < len(names) and looks_like_time(names[time_position])
    filled = [name for name in names if name]
    return len(filled) > 1 and sum(map(looks_like_time, filled)) >= max(2, len(filled) - 1)


def is_list_text(cell: str) -> bool:
    cell = cell.strip()
    return cell.startswith("[") and cell.endswith("]")
