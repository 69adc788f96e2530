"""The time of a sweep's trials, and the time that early stopping saved."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from tuning.space import Space
from tuning.study.trials import SweepTrial


@dataclass(frozen=True, kw_only=True)
class Spent:
    """The time that trials took, and the time that they did not take."""

    seconds: float
    """Seconds of all trials together, from their start to their end. Waiting is included."""
    epochs: int
    stopped: int
    """Trials that were stopped early."""
    epochs_spared: int
    """Most epochs that stopped trials would have had. Patience may have ended them before."""
    seconds_spared: float
    """The time of these epochs, at the speed of each trial."""


def spent(trials: Sequence[SweepTrial], space: Space, now: datetime) -> Spent:
    """Add up a sweep's trials. Running trials count until `now`."""
    stopped = [trial for trial in trials if trial.state == "stopped" and trial.epoch]
    left = [max(0, sum(space.epochs(trial.point)) - trial.epoch) for trial in stopped]
    return Spent(
        seconds=sum(trial.seconds(now) for trial in trials),
        epochs=sum(trial.epoch for trial in trials),
        stopped=len(stopped),
        epochs_spared=sum(left),
        seconds_spared=sum(t.seconds(now) / t.epoch * n for t, n in zip(stopped, left, strict=True)),
    )
