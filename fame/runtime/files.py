"""Writing files: a folder appears whole or not at all, and a failure to write is one line about the place."""

from __future__ import annotations

import errno
import glob
import os
import shutil
import stat
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fame.errors import UserError


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Turn a failure to write into one line about the folder."""
    try:
        yield
    except OSError as error:
        raise UserError(
            f"cannot write {folder}: {error.strerror or error}; free space or choose another folder"
        ) from error


def as_created(path: Path) -> None:
    """Give a file the permissions that a new one has here: libraries write temporary files for their owner alone."""
    new = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    new.touch()
    try:
        path.chmod(stat.S_IMODE(new.stat().st_mode))
    finally:
        new.unlink()


def unique_folder(parent: Path, prefix: str) -> Path:
    """Make an empty folder with the permissions that a new one has here."""
    folder = parent / f"{prefix}{uuid.uuid4().hex}"
    folder.mkdir()
    return folder


@contextmanager
def replaced(path: Path) -> Iterator[Path]:
    """A temporary file that takes the place of `path` when the block ends without an error."""
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def replacing(folder: Path) -> Iterator[Path]:
    """A temporary folder that takes the place of `folder` when the block ends without an error.

    What a killed process left behind is removed, so only one may write a folder at a time.
    """
    if folder.exists() and not folder.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
    folder.parent.mkdir(parents=True, exist_ok=True)
    prefix = f".{folder.name}.export-"
    for stale in folder.parent.glob(glob.escape(prefix) + "*"):
        shutil.rmtree(stale, ignore_errors=True)
    temporary = unique_folder(folder.parent, prefix)
    old = temporary.with_name(temporary.name + ".old")
    try:
        yield temporary
        if folder.exists():
            os.replace(folder, old)
        try:
            os.replace(temporary, folder)
        except BaseException:
            if old.exists():
                os.replace(old, folder)
            raise
    finally:
        for left in (temporary, old):
            shutil.rmtree(left, ignore_errors=True)
