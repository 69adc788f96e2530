"""The note for a restarted trial, in its Tune configuration.

Tune hands a restarted trial only its configuration, and keeps that with the sweep's state. So a scheduler that pauses a
trial leaves a note there, beside the trial's point. The callback for faults does the same for a trial that crashed.
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
    """Last epoch that the sweep knows. The trial reports only later epochs."""
    generation: int = 0
    """Number of times that the trial has taken over another trial's state."""
    origin: str | None = None
    """The state that it took over last, below the folder of the sweep's trials."""
    lost: int = 0
    """Number of deaths of the trial's processes without a new epoch in between."""
    lost_at: int = 0
    """The trial's last epoch when it died."""
    hung: int = 0
    """Number of times that the trial has hung."""
    fault: str | None = None
    """Why the trial is over. Its last act is to report that (`tuning.faults`)."""


def restart_of(config: Mapping[str, Any]) -> Restart:
    return Restart(**config.get(NOTE, {}))


def fault_noted(config: Mapping[str, Any]) -> Fault | None:
    """Return why the trial is over; None if it is not."""
    note = restart_of(config)
    return None if note.fault is None else Fault.parse(note.fault)


def point_of(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the searched settings without the note."""
    return {key: value for key, value in config.items() if key != NOTE}


def leave_note(trial: Trial, restart: Restart, point: Mapping[str, Any] | None = None) -> None:
    """Leave a note for the trial, and another point if one is given."""
    point = point_of(trial.config) if point is None else dict(point)
    trial.set_config(point | {NOTE: dataclasses.asdict(restart)})


def going_on(point: Mapping[str, Any], epoch: int) -> dict[str, Any]:
    """Return Tune's configuration of a trial that goes on after an epoch in a new run of Tune."""
    return {**point, NOTE: dataclasses.asdict(Restart(seen=epoch))}


def milestone_name(epoch: int, generation: int) -> str:
    """Return the folder of a checkpoint that other trials may take over, in the run of its trial."""
    return f"epoch-{epoch}-{generation}"
