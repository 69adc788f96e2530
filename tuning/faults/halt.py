"""Stops the sweep for a reason of its own. As after Ctrl-C, Tune saves its state and the best trial is exported.

Tune pickles callbacks and the search and may go on with copies of them. So the reason is kept here, for the one sweep
that a process drives.
"""

from __future__ import annotations

import signal

REASONS: list[str] = []


def halt(reason: str) -> None:
    """Let Tune end after its present step. Call it from within a step; only the first reason counts."""
    REASONS.append(reason)
    if len(REASONS) == 1:
        signal.raise_signal(signal.SIGUSR1)  # as `tuning.driver.interrupt` does


def begin() -> None:
    """A sweep begins: an earlier one of this process may have been stopped."""
    REASONS.clear()


def halted() -> str | None:
    """Return why the sweep was stopped; None if it was not."""
    return REASONS[0] if REASONS else None
