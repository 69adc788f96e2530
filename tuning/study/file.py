"""The file of a study: Optuna's journal in two copies.

A line is an operation of Optuna with its number and a check sum of all lines up to it. So damage anywhere is found: a changed
byte, or a line that is cut off, missing or of another study. On opening, each file gets the lines that it has lost from the
other. If both have lost the same line, the study continues from the line before. Appending costs the same however long the
file is. It needs no locks, which network file systems may lack, because only the driver writes.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from optuna.storages import JournalStorage
from optuna.storages.journal import BaseJournalBackend

from fame.artifacts.checkpoint import sync_folder
from fame.errors import UserError
from fame.runtime.files import replaced
from tuning.faults.disk import cannot_write, release

COPY, DAMAGED = ".copy", ".damaged"
"""Suffixes of the second file, and of a damaged file that was replaced."""
NUMBER, CHECK = "n", b',"check":"'
"""Keys that are added to Optuna's own: the line's number, and a check sum."""
UNDER_WAY = 1
"""Lines that a file may lack at its end because a kill came between two writes."""


class StudyFile(BaseJournalBackend):
    """The journal at `path` and at `path` + `.copy`. Raises `OSError` if they cannot be read or written."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.paths = (path, path.with_name(path.name + COPY))
        self.fault: OSError | None = None
        """The error that made a line use up the reserve."""
        self._known = (0, 0, b"")
        """A line's number, its place in the first file, and the check sum of the line before."""
        self._sync = True
        path.parent.mkdir(parents=True, exist_ok=True)
        self.damage = self._mend()
        """The damage that was mended, a line for a person each."""

    def read_logs(self, log_number_from: int) -> Iterator[dict[str, Any]]:
        number, offset, before = self._known if log_number_from >= self._known[0] else (0, 0, b"")
        if self.path.stat().st_size == offset:  # Optuna asks before each of its answers
            return
        with self.path.open("rb") as file:
            file.seek(offset)
            for line in file:
                if (check := check_of(line, before)) is None:
                    raise ValueError(f"{self.path}: line {number + 1} is damaged")
                if number >= log_number_from:
                    yield decoded(line)
                number, offset, before = number + 1, offset + len(line), check
                self._known = (number, offset, before)

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        for _ in self.read_logs(self._known[0]):  # another object in this process may have appended some
            pass
        number, _, before = self._known
        lines = b""
        for log in logs:
            lines += (line := encoded(log, number, before))
            check = check_of(line, before)
            assert check is not None
            number, before = number + 1, check
        try:
            _append(self.paths, lines, self._sync)
        except OSError as error:
            if not cannot_write(error) or not release(self.path.parent):
                raise
            self.fault = error
            _append(self.paths, lines, self._sync)

    @contextlib.contextmanager
    def until_the_next(self) -> Iterator[None]:
        """Let lines go to the disk with the next line after the block, which must follow.

        A proposal is some twenty lines. Waiting for the disk takes longer than making it.
        """
        self._sync = False
        try:
            yield
        finally:
            self._sync = True

    def _mend(self) -> list[str]:
        """Give both files all lines that either has."""
        contents = [path.read_bytes() if path.exists() else b"" for path in self.paths]
        known: dict[int, list[bytes]] = defaultdict(list)
        for content in contents:
            for line in content.splitlines(True):
                known[number_of(line)].append(line)
        lines: list[bytes] = []
        check = b""
        while fits := [(line, new) for line in known.get(len(lines), ()) if (new := check_of(line, check)) is not None]:
            line, check = fits[0]
            lines.append(line)
        whole, damage = b"".join(lines), []
        for path, content in zip(self.paths, contents, strict=True):
            if content == whole and path.exists():
                continue
            if said := _difference(path, content, lines):
                damage.append(said)
                if content:
                    os.replace(path, path.with_name(path.name + DAMAGED))
            _write(path, whole)
        if damage and (lost := max(content.count(b"\n") for content in contents) - len(lines)) > 0:
            damage.append(f"{self.path}: line {len(lines) + 1} is in neither copy: {lost} lines from there on are lost")
        return damage


def open_journal(path: Path, say: Callable[[str], object] = lambda line: None) -> tuple[JournalStorage, StudyFile]:
    """Return the study's storage and its file. `say` gets a line for each damage that was mended.

    Raises `UserError` if it cannot be written.
    """
    try:
        file = StudyFile(path)
        for line in file.damage:
            say(line)
        return JournalStorage(file), file
    except OSError as error:
        raise UserError(f"cannot write the study {path}: {error.strerror}; choose another --storage") from None


def encoded(log: dict[str, Any], number: int, before: bytes) -> bytes:
    """Return an operation as a line of JSON that Optuna's own journal accepts. `before` is the last line's check sum."""
    body = json.dumps({**log, NUMBER: number}, separators=(",", ":")).encode()
    return body[:-1] + CHECK + _sum(before + body) + b'"}\n'


def decoded(line: bytes) -> dict[str, Any]:
    """Return the operation in a whole line."""
    log = operation(line)
    del log[NUMBER], log["check"]
    return log


def operation(line: bytes) -> dict[str, Any]:
    """Return what a line says. All trials share the names of their settings, and need not have them each."""
    log = json.loads(line)
    if "param_name" in log:
        log["param_name"] = sys.intern(log["param_name"])
    return log


def check_of(line: bytes, before: bytes) -> bytes | None:
    """Return a line's check sum. None if the line is not whole, or does not follow the line with `before`."""
    body, mark, check = line.rpartition(CHECK)
    found = _sum(before + body + b"}")
    return found if mark and check == found + b'"}\n' else None


def number_of(line: bytes) -> int:
    """Return the number in a line; -1 if it has none."""
    number = line.rpartition(CHECK)[0].rpartition(b":")[2]
    return int(number) if number.isdigit() else -1


def _sum(content: bytes) -> bytes:
    return b"%08x" % zlib.crc32(content)


def _difference(path: Path, content: bytes, lines: Sequence[bytes]) -> str | None:
    """Return the damage of a file. None if it lacks only lines that may have been under way."""
    found = content.splitlines(True)
    bad = [index for index, line in enumerate(found) if line not in lines[index : index + 1]]
    cut_off = bad == [len(found) - 1] and not found[-1].endswith(b"\n")
    if bad and not cut_off:
        return f"{path}: line {bad[0] + 1} is damaged; the file is kept as {path.name}{DAMAGED}, its copy is used"
    missing = len(lines) - (len(found) - cut_off)
    if missing > UNDER_WAY and not (path.name.endswith(COPY) and not content):
        return f"{path}: the last {missing} of {len(lines)} lines are missing; its copy is used"
    return None


def _append(paths: Sequence[Path], lines: bytes, sync: bool) -> None:
    """Append to all files, with `sync` through to the disk. If one fails, all stay as they were."""
    with contextlib.ExitStack() as stack:
        files = [stack.enter_context(path.open("ab", buffering=0)) for path in paths]
        lengths = [file.seek(0, os.SEEK_END) for file in files]
        try:
            for file in files:
                left = lines
                while left:
                    left = left[file.write(left) :]
                if sync:
                    os.fsync(file.fileno())
        except OSError:
            for file, length in zip(files, lengths, strict=True):
                file.truncate(length)
            raise


def _write(path: Path, content: bytes) -> None:
    """Replace a file by a whole one: its content reaches the disk before its name."""
    with replaced(path) as temporary, temporary.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    sync_folder(path.parent)
