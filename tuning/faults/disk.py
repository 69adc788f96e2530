"""Places that cannot be written: a disk that is full, over its quota or read-only."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from fame.errors import UserError
from tuning.storage.object_store import is_of_store

RESERVE, RESERVED = ".reserve", 8 << 20
"""Name and bytes of the file that keeps space in a sweep's folder."""
CANNOT_WRITE = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)


def cannot_write(error: BaseException) -> bool:
    """Whether nothing but the place that was written to is at fault."""
    return isinstance(error, OSError) and error.errno in CANNOT_WRITE


def why(error: OSError) -> str:
    """What is wrong with the place, as few words."""
    return {
        errno.ENOSPC: "no space left on the device",
        errno.EDQUOT: "the disk quota is used up",
        errno.EROFS: "the file system is read-only",
    }[error.errno]


def described(error: OSError, path: str | Path | None = None) -> str:
    """One line: what cannot be written, why, and how much space is left there."""
    path = path or error.filename
    place = f"{path}: " if path else ""
    return f"{place}{why(error)}{_free(path)}"


def in_a_line(record: logging.LogRecord) -> bool:
    """Filter for a logger: what cannot be written is a line, not a traceback."""
    error = record.exc_info[1] if record.exc_info else None
    if error is not None and is_of_store(error):
        return False  # `tuning.study.mirror`, which writes there just before Tune does, says it
    if error is None or not cannot_write(error):
        return True
    print(f"cannot save Tune's state ({why(error)}): what it saved before stays", file=sys.stderr)
    return False


@contextlib.contextmanager
def reserved(folder: Path) -> Iterator[None]:
    """Around a sweep, as `reserve`; what is left of it goes at the end."""
    reserve(folder)
    try:
        yield
    finally:
        release(folder)


def reserve(folder: Path) -> None:
    """Keep some space for the last words of a sweep whose disk is full: Tune's state and the study's last line.

    Raises `UserError` if there is not even that much.
    """
    try:
        with (folder / RESERVE).open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, RESERVED)
    except OSError as error:
        (folder / RESERVE).unlink(missing_ok=True)
        if not cannot_write(error):
            raise
        raise UserError(
            f"cannot write {described(error, folder)}; a sweep needs {RESERVED >> 20} MiB at the least"
        ) from None


def release(folder: Path) -> bool:
    """Give the reserve back; False if there was none."""
    try:
        (folder / RESERVE).unlink()
        return True
    except OSError:  # there is none, or the file system is read-only
        return False


def _free(path: str | Path | None) -> str:
    """How much is free where a local path is, or was going to be."""
    folder = Path(path) if path is not None and "://" not in str(path) else None
    while folder is not None and not folder.exists():
        folder = None if folder == folder.parent else folder.parent
    return f" ({shutil.disk_usage(folder).free / 2**20:,.1f} MiB free)" if folder is not None else ""
