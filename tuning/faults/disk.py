"""Disks that cannot be written: full, over their quota or read-only."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TypeGuard

from fame.errors import UserError
from tuning.storage.object_store import is_of_store

RESERVE, RESERVED = ".reserve", 8 << 20
"""Name and bytes of the file that keeps space in a sweep's folder."""
CANNOT_WRITE = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)


def cannot_write(error: BaseException) -> TypeGuard[OSError]:
    """Whether the error is the fault of the disk alone."""
    return isinstance(error, OSError) and error.errno in CANNOT_WRITE


def why(error: OSError) -> str:
    """Return the problem of the place in few words."""
    assert error.errno is not None
    return {
        errno.ENOSPC: "no space left on the device",
        errno.EDQUOT: "the disk quota is used up",
        errno.EROFS: "the file system is read-only",
    }[error.errno]


def described(error: OSError, path: str | Path | None = None) -> str:
    """Return a line with the place that cannot be written, the reason, and the space that is left there."""
    path = path or error.filename
    place = f"{path}: " if path else ""
    return f"{place}{why(error)}{_free(path)}"


def in_a_line(record: logging.LogRecord) -> bool:
    """Logging filter that turns the traceback of a disk error into a line."""
    error = record.exc_info[1] if record.exc_info else None
    if error is not None and is_of_store(error):
        return False  # `tuning.study.mirror`, which writes there just before Tune does, says it
    if error is None or not cannot_write(error):
        return True
    print(f"cannot save Tune's state ({why(error)}): what it saved before stays", file=sys.stderr)
    return False


@contextlib.contextmanager
def reserved(folder: Path) -> Iterator[None]:
    """Keep the reserve as long as the block lasts."""
    reserve(folder)
    try:
        yield
    finally:
        release(folder)


def reserve(folder: Path) -> None:
    """Reserve space for Tune's state and the study's last line in case the disk fills up.

    Raises `UserError` if there is not that much space.
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
    """Give the reserve back. Return whether there was one."""
    try:
        (folder / RESERVE).unlink()
        return True
    except OSError:  # there is none, or the file system is read-only
        return False


def _free(path: str | Path | None) -> str:
    """Return the free space at a local path, which need not exist."""
    folder = Path(path) if path is not None and "://" not in str(path) else None
    while folder is not None and not folder.exists():
        folder = None if folder == folder.parent else folder.parent
    return f" ({shutil.disk_usage(folder).free / 2**20:,.1f} MiB free)" if folder is not None else ""
