"""Commands to a worker of a slot, and its reports. Both wait in the worker's own process.

The slot's actor calls `send` and `exchange` there. The training function, in another thread, reads `COMMANDS` and writes
`REPORTS`. So a slot needs no other process and no port.
"""

from __future__ import annotations

import queue
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tuning.trial.loop import TrialPlace

WAIT_SECONDS = 1.0
"""Longest wait for a report within a call. Ray Train looks at the worker between two calls."""


@dataclass(frozen=True, kw_only=True)
class Start:
    """Take this trial in place of the one before, and go on to its first report."""

    config: Mapping[str, Any]
    place: TrialPlace


@dataclass(frozen=True)
class Go:
    """Go on to the next report."""


@dataclass(frozen=True)
class End:
    """End the training function."""


@dataclass(frozen=True)
class Waiting:
    """There is no report yet."""


Command = Start | Go | End
Answer = dict[str, Any] | Waiting | None
"""The metrics of a report. None if the trial has no more."""

COMMANDS: queue.SimpleQueue[Command] = queue.SimpleQueue()
REPORTS: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()


def send(command: Command) -> None:
    """Give the training function of this process a command."""
    COMMANDS.put(command)


def receive() -> Answer:
    """Return the next report of this process."""
    try:
        return REPORTS.get(timeout=WAIT_SECONDS)
    except queue.Empty:
        return Waiting()


def exchange(command: Command) -> Answer:
    """Send a command and return the report that answers it."""
    send(command)
    return receive()
