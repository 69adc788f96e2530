"""Time of a sweep's trials, and what stopping the bad ones early spared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from optuna.trial import FrozenTrial, TrialState

from fame.config.tree import experiment_from_dict
from tuning.faults import FAULT
from tuning.space import Space


@dataclass(frozen=True, kw_only=True)
class Spent:
    """What the trials took, and did not take."""

    seconds: float
    """Of all trials together, from their start to their end, waiting included."""
    epochs: int
    stopped: int
    """Trials that were stopped early."""
    epochs_spared: int
    """Most epochs that those would have gone on for; patience may have ended them before."""
    seconds_spared: float
    """At the speed that each of them had."""


def spent(trials: Sequence[FrozenTrial], space: Space, now: datetime) -> Spent:
    """Over a sweep's trials; those that still run count until `now`."""
    stopped = [t for t in trials if t.state == TrialState.PRUNED and FAULT not in t.user_attrs and epochs_of(t)]
    left = [max(0, most_epochs(space, t) - epochs_of(t)) for t in stopped]
    return Spent(
        seconds=sum(seconds_of(t, now) for t in trials),
        epochs=sum(map(epochs_of, trials)),
        stopped=len(stopped),
        epochs_spared=sum(left),
        seconds_spared=sum(seconds_of(t, now) / epochs_of(t) * n for t, n in zip(stopped, left, strict=True)),
    )


def epochs_of(trial: FrozenTrial) -> int:
    return max(trial.intermediate_values, default=0)


def seconds_of(trial: FrozenTrial, now: datetime) -> float:
    if trial.datetime_start is None:
        return 0.0
    return ((trial.datetime_complete or now) - trial.datetime_start).total_seconds()


def most_epochs(space: Space, trial: FrozenTrial) -> int:
    """Epochs of a trial that nobody stops, over its stages."""
    experiment = experiment_from_dict(space.experiment(trial.params))
    return experiment.train.epochs + experiment.backbone.epochs
