"""What a trial that is started again has to know, carried in its Tune configuration.

Tune hands a trial that goes on nothing but its configuration, and keeps that with the sweep's state. So a
scheduler that pauses a trial, and whoever judges a trial that crashed, leaves a note there, beside the trial's point.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tuning.faults import Fault

if TYPE_CHECKING:
    from ray.tune.experiment import Trial

NOTE = "restart"


@dataclass(frozen=True, kw_only=True)
class Restart:
    """A note to a trial."""

    seen: int = 0
    """Last epoch that the sweep knows of: only later ones are to be reported."""
    generation: int = 0
    """How often the trial has taken over another one's state."""
    origin: str | None = None
    """That state, below the folder of the sweep's trials."""
    lost: int = 0
    """How often a process of the trial has died without a new epoch in between."""
    lost_at: int = 0
    """The trial's last epoch when it died."""
    hung: int = 0
    """How often the trial has hung."""
    fault: str | None = None
    """Why the trial is over: all that is left for it is to report that (`tuning.faults`)."""


def restart_of(config: Mapping[str, Any]) -> Restart:
    return Restart(**config.get(NOTE, {}))


def fault_noted(config: Mapping[str, Any]) -> Fault | None:
    """Why the trial is over; None if it is not."""
    note = restart_of(config)
    return None if note.fault is None else Fault.parse(note.fault)


def point_of(config: Mapping[str, Any]) -> dict[str, Any]:
    """The searched settings alone."""
    return {key: value for key, value in config.items() if key != NOTE}


def leave_note(trial: Trial, restart: Restart, point: Mapping[str, Any] | None = None) -> None:
    """Let the trial go on with the note, and at another point if one is given."""
    point = point_of(trial.config) if point is None else dict(point)
    trial.set_config(point | {NOTE: dataclasses.asdict(restart)})


def milestone_name(epoch: int, generation: int) -> str:
    """Folder of a checkpoint that other trials may take over, in the run of its trial."""
    return f"epoch-{epoch}-{generation}"
