"""The cache folder (`$FAME_DATA`, else `~/.cache/fame`): downloads, prepared datasets, and locks on both."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fame.datasets.entry import Report
from fame.errors import UserError
from fame.runtime.files import unique_folder


def cache_root() -> Path:
    """The folder; it need not exist yet."""
    given = os.environ.get("FAME_DATA")
    return Path(given).expanduser().absolute() if given else Path.home() / ".cache" / "fame"


@contextmanager
def locked(name: str, report: Report) -> Iterator[None]:
    """Hold the machine-wide lock `name`; says so when another process has it."""
    from filelock import FileLock, Timeout

    with writable():
        folder = cache_root() / "locks"
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / f"{name}.lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            report(f"waiting for another process that is busy with {name}")
            lock.acquire()
    try:
        yield
    finally:
        lock.release()


@contextmanager
def new_folder(target: Path) -> Iterator[Path]:
    """A temporary folder that becomes `target` when the block ends well, and vanishes when it does not.

    To be called by one process at a time: what a killed one left behind is removed first.
    """
    with writable():
        target.parent.mkdir(parents=True, exist_ok=True)
        for stale in target.parent.glob(f".{target.name}-*"):
            shutil.rmtree(stale)
        folder = unique_folder(target.parent, f".{target.name}-")
    try:
        with writable():
            yield folder
            folder.rename(target)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def writable() -> Iterator[None]:
    """Turn a failure to write into one line about the cache."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise UserError(
            f"cannot write to the cache {cache_root()}: {reason}; set FAME_DATA to a folder with space that you can write"
        ) from None
