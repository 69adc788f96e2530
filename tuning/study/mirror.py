"""The copy of a sweep's study at a URI. The driver works on a file of its own and copies it there.

The study is always copied before the state of Tune that belongs to it. So a driver that finds Tune's state on another
machine finds a study with all of its trials.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator

from ray.tune import Callback

from fame.errors import UserError
from fame.remote import explained, is_remote
from fame.runtime.files import replaced
from tuning.faults.halt import halt, halted
from tuning.storage import object_store
from tuning.storage.layout import Storage, below
from tuning.study.file import COPY, StudyFile

AWAY_SECONDS = 60.0
"""Seconds without an answer of the store after which the sweep stops. It can be resumed later."""
WAIT_SECONDS = 1.0
OTHER = ".other"
"""Suffix of the driver's own study if another machine's has replaced it."""


class Mirror(Callback):
    """Give it to `tune.RunConfig(callbacks=[...])`. It does nothing for a storage without a URI."""

    def __init__(self, storage: Storage) -> None:
        self.storage = storage

    def get_state(self) -> None:
        """Tune calls this with each save of its state, before the state goes to storage."""
        if halted() is None:
            keep_in_step(self.storage)


def keep_in_step(storage: Storage) -> None:
    """Bring the URI's study up to date.

    The driver waits here while the store does not answer. So trials that fail for that reason do not restart too soon. After
    `AWAY_SECONDS` the sweep stops.
    """
    began, waits = time.monotonic(), False
    while True:
        try:
            push(storage)
            if waits:
                print(f"storage {storage.shared} answers again", flush=True)
            return
        except OSError as error:
            what = f"storage {storage.shared}: {explained(error)}"
        if time.monotonic() - began >= AWAY_SECONDS:
            halt(what)
            return
        if not waits:
            print(f"{what}; waiting up to {AWAY_SECONDS:.0f} s", flush=True)
        waits = True
        time.sleep(WAIT_SECONDS)


@contextlib.contextmanager
def unless_away(storage: Storage) -> Iterator[None]:
    """Turn a store that does not answer into one line, when the trials have ended and the storage is read.

    Raises `UserError`, unless the sweep was stopped and has something else to say.
    """
    try:
        yield
    except OSError as error:
        if not object_store.is_of_store(error):
            raise
        what = f"storage {storage.shared}: {explained(error)}"
        if halted() is None:
            raise UserError(f"{what}; nothing is lost: once it answers, go on with --resume") from None
        print(f"the best so far is not exported: {what}")


def push(storage: Storage) -> None:
    """Write the study to the URI, if the storage is one. Raises `OSError` on failure."""
    if not is_remote(storage.shared):
        return
    with contextlib.suppress(FileNotFoundError):  # no trial was proposed yet
        object_store.write(below(storage.shared, storage.study.name), storage.study.read_bytes())


def fetch(storage: Storage) -> None:
    """Before a sweep is resumed, take the URI's study if another machine was further.

    The driver's own study may be ahead, if the driver was killed before it wrote to the URI. If both went on separately,
    the URI's study counts, because it belongs to the trials there. The driver's own is kept beside it.
    """
    if not is_remote(storage.shared):
        return
    storage.make_local()
    with object_store.one_line(f"--storage {storage.shared}"):
        theirs = object_store.read(below(storage.shared, storage.study.name))
    if theirs is None:
        return
    if storage.study.exists():
        for line in StudyFile(storage.study).damage:
            print(line)
        ours = storage.study.read_bytes()
        if ours.startswith(theirs):
            return
        if not theirs.startswith(ours):
            other = storage.study.with_name(storage.study.name + OTHER)
            os.replace(storage.study, other)
            print(f"the sweep went on from another machine: its study is used, this one's is kept as {other.name}")
    storage.study.with_name(storage.study.name + COPY).unlink(missing_ok=True)  # `StudyFile` makes it again
    with replaced(storage.study) as file:
        file.write_bytes(theirs)
