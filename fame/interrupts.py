"""Ctrl-C while a command still imports: one line and exit code 130, without a traceback.

An exception in the middle of an import can be swallowed or turned into another one. So nothing is raised then. The
process has done nothing yet, and ends at once.
"""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType

PROGRAM = "fame"
"""Name of the installed program."""
_EXIT_INTERRUPTED = 130
_seen = False


def end_at_once() -> None:
    """End the process at Ctrl-C until `raise_again` is called. Leaves a handler of somebody else's alone."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _end)


def on_the_way() -> None:
    """End the process at Ctrl-C if a package is imported on the way to a command: by `python -m`, or by `fame`."""
    if sys.argv[:1] == ["-m"] or (sys.argv and os.path.basename(sys.argv[0]) == PROGRAM):
        end_at_once()


def raise_again() -> None:
    """Raise `KeyboardInterrupt` at Ctrl-C, as Python does, and remember it."""
    if signal.getsignal(signal.SIGINT) is _end:
        signal.signal(signal.SIGINT, _raise)


def seen() -> bool:
    """Whether Ctrl-C was pressed since the command began to work."""
    return _seen


def _end(number: int, frame: FrameType | None) -> None:
    os.write(2, b"interrupted\n")
    os._exit(_EXIT_INTERRUPTED)


def _raise(number: int, frame: FrameType | None) -> None:
    global _seen
    _seen = True
    signal.default_int_handler(number, frame)
