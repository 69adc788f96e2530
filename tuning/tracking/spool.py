"""Writes that MLflow has not got yet, in a file beside the sweep's study.

A line is in the file before anything else is done with it, so that whoever is killed, and whenever, loses none.
The file is the queue: memory does not grow with what waits. One process has it open, in which one thread
appends and another one reads and forgets.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
from dataclasses import dataclass
from pathlib import Path

from fame.errors import UserError
from tuning.tracking.records import Record, parse

log = logging.getLogger(__name__)

READ_BYTES = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Chunk:
    """The oldest records of a spool."""

    records: list[Record]
    size: int
    """Bytes that they take in the file."""


class Spool:
    """The waiting records at `path`, those of an earlier process first.

    A last line that a kill cut off is dropped. Of a file with damaged lines a copy is kept, which a warning names,
    and the other lines go on waiting. Raises `UserError` if the file cannot be read or written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.count = 0
        """Records that wait."""
        self._lock = threading.Lock()
        self._file: int | None = None
        self._begin = 0
        """Where in the file the first record starts that waits."""
        self._end = 0
        if path.exists():
            try:
                self._recover()
            except OSError as error:
                raise UserError(f"{path} cannot be read and written ({error.strerror}); make it so") from None

    def append(self, record: Record) -> None:
        """Let a record wait. Raises OSError, and leaves the file as it was, if the disk does not take it."""
        line = f"{record.line()}\n".encode()
        with self._lock:
            file = self._open()
            try:
                written = os.write(file, line)
                while written < len(line):
                    written += os.write(file, line[written:])
            except OSError:
                os.ftruncate(file, self._end)  # half a line would spoil the next
                raise
            self._end += len(line)
            self.count += 1

    def peek(self, most: int) -> Chunk:
        """The oldest records, at most so many."""
        with self._lock:
            lines: list[bytes] = []
            rest, at = b"", self._begin
            while at < self._end and len(lines) < most:
                block = os.pread(self._open(), READ_BYTES, at)
                assert block, f"{self.path} is shorter than what was written to it"
                at += len(block)
                *whole, rest = (rest + block).split(b"\n")
                lines += whole
            lines = lines[:most]
        return Chunk(records=[parse(line) for line in lines], size=sum(len(line) + 1 for line in lines))

    def forget(self, chunk: Chunk) -> None:
        """Drop a chunk that `peek` gave; the file is emptied with its last record."""
        with self._lock:
            self._begin += chunk.size
            self.count -= len(chunk.records)
            if self._begin == self._end and self._file is not None:
                os.ftruncate(self._file, 0)
                self._begin = self._end = 0

    def close(self) -> None:
        """Let go of the file, and remove it if nothing waits in it."""
        with self._lock:
            if self._file is not None:
                os.close(self._file)
                self._file = None
            if not self.count:
                with contextlib.suppress(OSError):  # read-only by now; it is empty, and goes with the next sweep's end
                    self.path.unlink(missing_ok=True)

    def _open(self) -> int:
        if self._file is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        return self._file

    def _recover(self) -> None:
        content = self.path.read_bytes()
        *lines, cut_off = content.split(b"\n")
        damaged = {number: reason for number, line in enumerate(lines, 1) if (reason := _damage(line)) is not None}
        if damaged:
            kept = self.path.with_suffix(".damaged")
            kept.write_bytes(content)
            first = min(damaged)
            log.warning(
                "%s, line %d is damaged (%s)%s: passed over, the file is kept as %s; what trials reported is added again",
                self.path, first, damaged[first], f", and {len(damaged) - 1} more" if len(damaged) > 1 else "", kept.name,
            )  # fmt: skip
        good = [line for number, line in enumerate(lines, 1) if number not in damaged]
        if damaged or cut_off:
            temporary = self.path.with_suffix(".tmp")
            temporary.write_bytes(b"".join(line + b"\n" for line in good))
            os.replace(temporary, self.path)
        self._end = os.fstat(self._open()).st_size
        self.count = len(good)


def _damage(line: bytes) -> str | None:
    """What is wrong with a line."""
    try:
        parse(line)
    except ValueError as error:  # UnicodeDecodeError and JSONDecodeError are, too
        return str(error)
    return None
