"""How a trial can go wrong, and what becomes of it.

| kind | what happened | the trial | Optuna |
| --- | --- | --- | --- |
| `infeasible` | its settings need more memory than there is | ends | PRUNED, with a violated constraint |
| `diverged` | a loss or score is not a number | ends | FAIL |
| `failed` | an exception of the program: it would come again | ends | FAIL |
| `hung` | no sign of life for `--hang-after` seconds | killed, started again once | FAIL after the second time |
| `lost` | a process died, a connection broke: nothing that the settings decide | started again, twice | FAIL after that |
| `storage` | a disk is full, over quota or read-only | stays unfinished, and the sweep stops | nothing |

    judge.py      which of them an exception is
    callback.py   what is done about it, in the process that drives the sweep
    pulse.py      signs of life of the processes that train
    hang.py       ending those that give none
    halt.py       stopping the sweep for a reason, as Ctrl-C does
    memory.py     trials that Ray's memory monitor kills
    disk.py       places that cannot be written

A trial ends by a last report that carries the fault (`end`), so that scheduler, search and MLflow hear of it
in the way that they hear of everything else; Ray's own retries are for what can heal.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

FaultKind = Literal["infeasible", "diverged", "failed", "hung", "lost", "storage"]

FAULT = "fault"
"""Key of a trial's last report if it went wrong, and attribute of the trial in the study: the fault as text. (Tune
hands reports to the search and to schedulers without the dictionaries in them.)"""
MENDED = "mended"
"""Key of a report: what was wrong with the checkpoints of a trial that goes on."""
ENDS = ("infeasible", "diverged", "failed")
"""Kinds that would come again, so that the trial ends at once."""


@dataclass(frozen=True, kw_only=True)
class Fault:
    """What went wrong."""

    kind: FaultKind
    reason: str
    """One line."""

    @classmethod
    def of(cls, found: Mapping[str, Any] | None) -> Fault | None:
        """That of a report, or of a trial's attributes in the study; None if there is none."""
        text = (found or {}).get(FAULT)
        return None if text is None else cls.parse(text)

    @classmethod
    def parse(cls, text: str) -> Fault:
        kind, _, reason = text.partition(": ")
        return cls(kind=kind, reason=reason)

    def __str__(self) -> str:
        return f"{self.kind}: {self.reason}"


def end(fault: Fault, epoch: int, metric: str) -> dict[str, Any]:
    """The last report of a trial, which got as far as `epoch`.

    Tune refuses reports without the metric. 0 is the worst there is; with minus infinity ASHA's percentiles
    would not be numbers, and it would stop nothing.
    """
    return {"epoch": epoch, metric: math.nan, f"best_{metric}": 0.0, FAULT: str(fault)}
