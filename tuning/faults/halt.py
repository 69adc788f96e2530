"""Stops the sweep for a reason of its own. As after Ctrl-C, Tune saves its state and the best trial is exported.

Tune pickles callbacks and the search and may go on with copies of them. So the reason is kept here, for the one sweep
that a process drives.
"""

from __future__ import annotations

import signal

_reasons: list[str] = []


def halt(reason: str) -> None:
    """Let Tune end after its present step. Call it from within a step; only the first reason counts."""
    _reasons.append(reason)
    if len(_reasons) == 1:
        signal.raise_signal(signal.SIGUSR1)  # as `tuning.driver.interrupt` does


def halted() -> str | None:
    """Return why the sweep was stopped; None if it was not."""
    return _reasons[0] if _reasons else None
