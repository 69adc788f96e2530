"""Ctrl-C or SIGTERM while Tune runs: the first lets Tune save its state and stop, the second ends at once.

Tune's own handler of SIGINT is switched off, because after it `Tuner.fit` returns as if all trials had ended. Tune
listens to SIGUSR1 in the same way, so signals are passed on as SIGUSR1. On a terminal Ctrl-C reaches the whole process
group. Ray starts its processes with SIGINT blocked.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Callable, Iterator
from types import FrameType

from tuning.faults.halt import halted
from tuning.terminal.view import view

os.environ["TUNE_DISABLE_SIGINT_HANDLER"] = "1"

STOPPING = "stopping: Tune saves what there is (Ctrl-C once more ends at once)"


@contextlib.contextmanager
def stops_softly() -> Iterator[Callable[[], bool]]:
    """Catch signals while `Tuner.fit` runs in the block.

    Yields a function that tells whether a signal came, or the sweep was stopped (`tuning.faults.halt`).
    """
    came: list[int] = []

    def soft(number: int, frame: FrameType | None) -> None:
        if came:
            raise KeyboardInterrupt
        came.append(number)
        if not view().wait(STOPPING):  # the table would be drawn over a line
            os.write(sys.stderr.fileno(), f"{STOPPING}\n".encode())  # `print` may be what was interrupted
        signal.raise_signal(signal.SIGUSR1)

    def hard(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    wanted = {signal.SIGINT: soft, signal.SIGTERM: soft, signal.SIGUSR1: hard}  # the last until Tune sets its own
    before = {number: signal.signal(number, handler) for number, handler in wanted.items()}
    try:
        yield lambda: bool(came) or halted() is not None
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
