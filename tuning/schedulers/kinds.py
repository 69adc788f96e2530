"""The schedulers by name. They compare trials by their validation metric.

The training counts the epochs (`epoch`). Tune's own count restarts with the trial.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fame.config import CHANGEABLE
from fame.errors import UserError
from tuning.schedulers.limits import QUARTER, REDUCTION, changeable, grace
from tuning.space import Space

if TYPE_CHECKING:
    from ray.tune.schedulers import TrialScheduler


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """The trials that a scheduler gets."""

    metric: str
    """Validation metric to maximise."""
    epochs: int
    """Most epochs of a trial, over all stages."""
    trials: int
    space: Space
    seed: int


@dataclass(frozen=True, kw_only=True)
class SchedulerKind:
    """A scheduler by name."""

    build: Callable[[Schedule], TrialScheduler]
    check: Callable[[Schedule], None] = lambda schedule: None
    """Raises `UserError` for trials that it cannot schedule."""
    pauses: bool = False
    """Whether it pauses trials for others. Then more trials are open than run at a time."""
    changes: bool = False
    """Whether it changes a trial's settings on the way."""
    replays: bool = False
    """Whether a new one can be told the epochs of trials that have ended."""
    interval: Callable[[int], int] = lambda epochs: 0
    """Epochs between the checkpoints that other trials start from. 0 keeps none."""


def best(schedule: Schedule) -> str:
    return f"best_{schedule.metric}"


def _asha(schedule: Schedule) -> TrialScheduler:
    from tuning.ray_internals.in_order import Asha

    return Asha(
        time_attr="epoch",
        metric=best(schedule),
        mode="max",
        # Beyond the last epoch: a trial that ends by itself must not be killed at its end.
        max_t=schedule.epochs + 1,
        grace_period=grace(schedule.epochs),
        reduction_factor=REDUCTION,
    )


def _hyperband(schedule: Schedule) -> TrialScheduler:
    from tuning.schedulers.hyperband import HyperBand

    return HyperBand(best(schedule), schedule.epochs)


def _median(schedule: Schedule) -> TrialScheduler:
    from tuning.ray_internals.in_order import Median

    # Without this time slice it pauses a trial at every epoch until it has enough others to compare with.
    return Median(
        time_attr="epoch",
        metric=best(schedule),
        mode="max",
        grace_period=grace(schedule.epochs),
        min_time_slice=math.inf,  # type: ignore[arg-type] # Ray counts the first slice from -inf, so no int will do
    )


def _pbt(schedule: Schedule) -> TrialScheduler:
    from tuning.schedulers.population import Population

    # Not the best value so far: a trial takes it over with the state, and it would hide the effect of a change.
    return Population(schedule.metric, grace(schedule.epochs), schedule.space, schedule.seed)


def _check_pbt(schedule: Schedule) -> None:
    if schedule.space.members:
        raise UserError(
            "--scheduler pbt: a trial takes over the state of another one, which must be of its model; name one --model"
        )
    if not changeable(schedule.space):
        raise UserError(
            "--scheduler pbt changes settings during a training, and none that may change is searched; "
            f"search one of {', '.join(CHANGEABLE)}"
        )
    if schedule.trials < QUARTER:
        raise UserError(
            f"--scheduler pbt with {schedule.trials} trials: it compares quarters, so give --trials {QUARTER} or more"
        )


def _none(schedule: Schedule) -> TrialScheduler:
    from tuning.ray_internals.in_order import Fifo

    return Fifo()  # type: ignore[no-untyped-call] # Ray has no types here


SCHEDULERS = {
    "asha": SchedulerKind(build=_asha, replays=True),
    "hyperband": SchedulerKind(build=_hyperband, pauses=True),
    "median": SchedulerKind(build=_median),
    "pbt": SchedulerKind(build=_pbt, check=_check_pbt, pauses=True, changes=True, interval=grace),
    "none": SchedulerKind(build=_none),
}
