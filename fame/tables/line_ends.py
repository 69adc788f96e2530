"""Fields of a quoted text that have swallowed line ends, because a quotation mark is not closed."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from typing import Any

from fame.errors import UserError


def swallowed(field: str, position: int, separator: str) -> bool:
    """Whether a field looks like the rest of one row and the beginning of the next.

    It does where the mark that ends it begins the same field of a later row.
    """
    before, line_end, last = field.rpartition("\n")
    if not line_end:
        return False
    if position == 0:
        return last == "" and separator in before
    return last.endswith(separator) and last.count(separator) == position


def check_line_ends(name: str, opener: Callable[[], Any], delimiter: str, encoding: str, escape: str | None) -> None:
    """Raise `UserError` for a field that has swallowed line ends because its quotation mark is not closed."""
    begun = 1
    with opener() as stream:
        text = io.TextIOWrapper(
            io.BufferedReader(_Raw(stream), 1 << 20), encoding=encoding, errors="replace", newline=""
        )
        reader = csv.reader(text, delimiter=delimiter, escapechar=escape, strict=True)
        try:
            for row in reader:
                if any("\n" in field and swallowed(field, k, delimiter) for k, field in enumerate(row)):
                    raise _unclosed(name, begun)
                begun = reader.line_num + 1
        except csv.Error:
            raise _unclosed(name, begun) from None


def _unclosed(name: str, line: int) -> UserError:
    return UserError(
        f"{name}: a quotation mark in line {line} is not closed, so its field takes in the lines after it; close it, or "
        "write it twice inside a quoted field"
    )


class LineCounter:
    """A stream that counts the line ends that are read from it."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self.count = 0
        self.closed = False

    def read(self, size: int = -1) -> bytes:
        piece = self._stream.read(size)
        self.count += piece.count(b"\n")
        return piece

    def close(self) -> None:
        self.closed = True

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return False

    def writable(self) -> bool:
        return False


class _Raw(io.RawIOBase):
    """Any stream with `read` as one that Python's text layer takes."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        piece = self._stream.read(len(buffer))
        buffer[: len(piece)] = piece
        return len(piece)
