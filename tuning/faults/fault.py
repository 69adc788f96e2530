"""The kinds of faults, and what happens to a trial that has one.

| kind | what happened | the trial | Optuna |
| --- | --- | --- | --- |
| `infeasible` | its settings need more memory than there is | ends | PRUNED, with a violated constraint |
| `limit` | it breaks a limit before its first epoch | ends | PRUNED, with a violated constraint |
| `diverged` | a loss or score is not a number | ends | FAIL |
| `failed` | an exception of the program: it would come again | ends | FAIL |
| `hung` | no sign of life for `--hang-after` seconds | killed, started again once | FAIL after the second time |
| `lost` | a process died, a connection broke: nothing that the settings decide | started again, twice | FAIL after that |
| `storage` | a disk is full, over quota or read-only | stays unfinished, and the sweep stops | nothing |

A trial ends with a last report that carries the fault (`end`). So scheduler, search and MLflow hear of it as they hear of
every report. Ray's own retries are for faults that can heal.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast

FaultKind = Literal["infeasible", "limit", "diverged", "failed", "hung", "lost", "storage"]

FAULT = "fault"
"""Key of the last report of a trial that went wrong, and attribute of the trial in the study: the fault as text.

Tune hands reports to the search and to schedulers without the dictionaries in them."""
MENDED = "mended"
"""Key of a report: the damage to the checkpoints of a trial that goes on."""
ENDS = ("infeasible", "limit", "diverged", "failed")
"""Kinds that would come again. The trial ends at once."""


@dataclass(frozen=True, kw_only=True)
class Fault:
    """The reason why a trial went wrong."""

    kind: FaultKind
    reason: str
    """One line."""

    @classmethod
    def of(cls, found: Mapping[str, Any] | None) -> Fault | None:
        """Return the fault in a report, or in a trial's attributes in the study. None if there is none."""
        text = (found or {}).get(FAULT)
        return None if text is None else cls.parse(text)

    @classmethod
    def parse(cls, text: str) -> Fault:
        kind, _, reason = text.partition(": ")
        return cls(kind=cast(FaultKind, kind), reason=reason)

    def __str__(self) -> str:
        return f"{self.kind}: {self.reason}"


def end(fault: Fault, epoch: int, metric: str) -> dict[str, Any]:
    """Return the last report of a trial that reached `epoch`.

    Tune refuses reports without the metric. 0 is the worst value. With minus infinity ASHA's percentiles would not be
    numbers, and it would stop no trial.
    """
    return {"epoch": epoch, metric: math.nan, f"best_{metric}": 0.0, FAULT: str(fault)}
