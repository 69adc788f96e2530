"""The CPU time of all that a command starts."""

from __future__ import annotations

import contextlib
import ctypes
import threading

import psutil

SUBREAPER = 36
"""Option of `prctl`: orphans below this process become its children, so that their CPU time counts."""
WATCH = 0.2
"""Seconds between two looks at the processes' CPU times."""


class ProcessorTime:
    """CPU time of every process below this one, from the beginning of a `with` block on.

    The system does not add it up by itself: Ray's node ignores the ends of its workers, so their CPU time is lost to
    `getrusage`. A process's last `WATCH` seconds may be missed. The process must have no other children.
    """

    def __init__(self) -> None:
        self._of: dict[psutil.Process, float] = {}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> ProcessorTime:
        ctypes.CDLL(None).prctl(SUBREAPER, 1)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    @property
    def seconds(self) -> float:
        return sum(list(self._of.values()))

    def _watch(self) -> None:
        this = psutil.Process()
        while not self._over.wait(WATCH):
            for process in this.children(recursive=True):
                with contextlib.suppress(psutil.NoSuchProcess):
                    used = process.cpu_times()
                    self._of[process] = used.user + used.system
