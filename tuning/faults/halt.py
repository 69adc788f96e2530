"""Stops the sweep for a reason of its own. As after Ctrl-C, Tune saves its state and the best trial is exported.

Tune pickles callbacks and the search and may go on with copies of them. So the reason is kept here, for the one sweep
that a process drives.
"""

from __future__ import annotations

import signal

REASONS: list[str] = []
LIMITS: list[str] = []


def halt(reason: str) -> None:
    """Let Tune end after its present step. Call it from within a step; only the first reason counts."""
    REASONS.append(reason)
    if len(REASONS) == 1:
        signal.raise_signal(signal.SIGUSR1)  # as `tuning.driver.interrupt` does


def begin() -> None:
    """A sweep begins: an earlier one of this process may have been stopped."""
    REASONS.clear()
    LIMITS.clear()


def finish_early(reason: str) -> None:
    """End the sweep as `halt` does, because a limit that the user has set is reached. That is no failure."""
    if not LIMITS:
        note_limit(reason)
        signal.raise_signal(signal.SIGUSR1)


def note_limit(reason: str) -> None:
    """Remember the limit that has ended the sweep, before Tune has begun."""
    LIMITS.append(reason)


def finished_early() -> str | None:
    """Return the limit that has ended the sweep; None if none has."""
    return LIMITS[0] if LIMITS else None


def halted() -> str | None:
    """Return why the sweep was stopped; None if it was not."""
    return REASONS[0] if REASONS else None
