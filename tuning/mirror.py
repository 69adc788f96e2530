"""The study of a sweep at a URI: the driver works on a file of its own, and the URI has what that had a moment ago.

The study is always written before the state of Tune that goes with it. So whoever finds Tune's state finds a study
that knows all of its trials, also on another machine, when the first one is gone.
"""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path

from ray.tune import Callback

from fame.errors import UserError
from tuning import object_store
from tuning.storage import Storage, below, is_remote
from tuning.study_file import COPY

PATIENCE = 120.0
"""Seconds without an answer after which the sweep stops, to be resumed later."""
WAIT_SECONDS = 1.0
OTHER = ".other"
"""What an own study is called that another machine's has replaced."""


class Mirror(Callback):
    """Give it to `tune.RunConfig(callbacks=[...])`; it does nothing for storage without a URI."""

    def __init__(self, storage: Storage, patience: float = PATIENCE) -> None:
        self.storage, self.patience = storage, patience

    def get_state(self) -> None:
        """Called with each save of Tune's state, before it goes to storage. While the store does not answer, the
        driver waits here: trials that fail for that reason are then not started again too soon."""
        if is_remote(self.storage.shared):
            self._push()

    def _push(self) -> None:
        began, asked = time.monotonic(), False
        while True:
            try:
                return push(self.storage)
            except OSError as error:
                what = f"storage {self.storage.shared}: {object_store.explained(error)}"
                if time.monotonic() - began >= self.patience:
                    raise UserError(f"{what}; go on with --resume when it is back") from None
                if not asked:
                    print(f"{what}; waiting up to {self.patience:.0f} s", flush=True)
                asked = True
                time.sleep(WAIT_SECONDS)


def push(storage: Storage) -> None:
    """Bring the URI's study up to date. Raises `OSError` if the store does not take it."""
    with contextlib.suppress(FileNotFoundError):  # no trial was proposed yet
        object_store.write(below(storage.shared, storage.study.name), storage.study.read_bytes())


def fetch(storage: Storage) -> None:
    """Before a sweep goes on: bring the driver's own study up to the URI's, if another machine was further.

    The own one may be ahead, if the driver was killed before it wrote to the URI. If both went on separately,
    the URI's counts, which goes with the trials there; the own one is kept beside it.
    """
    if not is_remote(storage.shared):
        return
    storage.make_local()
    with object_store.one_line(f"--storage {storage.shared}"):
        theirs = object_store.read(below(storage.shared, storage.study.name))
    ours = storage.study.read_bytes() if storage.study.exists() else b""
    if theirs is None or ours.startswith(theirs):
        return
    if not theirs.startswith(ours[: ours.rfind(b"\n") + 1]):  # without a line that a kill cut off
        other = storage.study.with_name(storage.study.name + OTHER)
        os.replace(storage.study, other)
        print(f"the sweep went on from another machine: its study is used, this one's is kept as {other.name}")
    storage.study.with_name(storage.study.name + COPY).unlink(missing_ok=True)  # `StudySearch` makes another one
    _replace(storage.study, theirs)


def _replace(path: Path, content: bytes) -> None:
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_bytes(content)
    os.replace(temporary, path)
