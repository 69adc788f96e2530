"""Folders for working files that leave nothing behind, however their process ends.

The scheduler stops a trial by killing its processes, which then cannot tidy up. So each process locks its folder, and the
kernel releases the lock with the process. The next trial on the machine, or the end of the sweep, removes folders without a
lock.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Collection, Iterator
from pathlib import Path

PREFIX = "fame-trial-"
POLL_SECONDS = 0.1


@contextlib.contextmanager
def scratch_folder(purpose: str) -> Iterator[Path]:
    """Make a temporary folder for one process. `purpose` is the trial's id in a trial's process."""
    remove_abandoned()
    lock = None
    while lock is None:  # another process may take the new folder for an abandoned one before it is locked
        folder = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{purpose}-"))
        lock = _lock(folder)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def remove_abandoned() -> None:
    """Remove the folders on this machine whose process is gone."""
    for folder in _folders():
        lock = _lock(folder)
        if lock is not None:
            shutil.rmtree(folder, ignore_errors=True)
            os.close(lock)


def remove_when_left(trial_ids: Collection[str], seconds: float) -> None:
    """Remove abandoned folders until none of these trials has one. Give up after some seconds."""
    deadline = time.monotonic() + seconds
    while True:
        remove_abandoned()
        left = [folder for folder in _folders() if folder.name.removeprefix(PREFIX).rpartition("-")[0] in trial_ids]
        if not left or time.monotonic() >= deadline:
            return
        time.sleep(POLL_SECONDS)


def _folders() -> list[Path]:
    return [path for path in Path(tempfile.gettempdir()).glob(f"{PREFIX}*") if path.is_dir()]


def _lock(folder: Path) -> int | None:
    """Lock the folder. Return None if another process has the lock, or the folder is gone or belongs to another user."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if folder.exists():
            return handle
    except OSError:
        pass
    os.close(handle)
    return None
