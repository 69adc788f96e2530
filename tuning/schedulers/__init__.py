"""Schedulers: who stops a trial early, or lets it go on from another's state, by its validation metric.

Epochs are counted by the training (`epoch`), not by Tune, whose own count restarts when a trial is
started again.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fame.config import CHANGEABLE
from fame.errors import UserError

if TYPE_CHECKING:
    from ray.tune.schedulers import TrialScheduler

    from tuning.plan import Plan
    from tuning.space import Space

REDUCTION = 2
"""Share of trials that go on at a rung of ASHA: one in two.
A sweep has tens of trials rather than thousands, and 1/2 needs the fewest to tell good from bad."""
QUARTER = 4
"""One in four trials of a population takes over the state of one of the best quarter."""


def grace(epochs: int) -> int:
    """Epochs that a trial is given before it may be stopped, or between two comparisons of a population."""
    return max(1, epochs // 4)


def changeable(space: Space) -> list[str]:
    """The searched keys that may change during a training."""
    return [key for key in space.search if key in CHANGEABLE]


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A scheduler by name."""

    build: Callable[[Plan], TrialScheduler]
    """For a plan's trials, of at most `plan.epochs` epochs over all stages."""
    check: Callable[[Plan], None] = lambda plan: None
    """Raises `UserError` for a plan that it cannot schedule."""
    pauses: bool = False
    """Whether it pauses trials for others: then there are more of them than run at a time."""
    changes: bool = False
    """Whether it changes a trial's settings on the way."""
    interval: Callable[[int], int] = lambda epochs: 0
    """Epochs between the checkpoints that other trials start from; 0 is none."""


def best(plan: Plan) -> str:
    return f"best_{plan.options.metric}"


def _asha(plan: Plan) -> TrialScheduler:
    from ray.tune.schedulers import ASHAScheduler

    return ASHAScheduler(
        time_attr="epoch",
        metric=best(plan),
        mode="max",
        # Beyond the last epoch: a trial that ends by itself must not be killed while it does.
        max_t=plan.epochs + 1,
        grace_period=grace(plan.epochs),
        reduction_factor=REDUCTION,
    )


def _hyperband(plan: Plan) -> TrialScheduler:
    from tuning.schedulers.hyperband import HyperBand

    return HyperBand(best(plan), plan.epochs)


def _median(plan: Plan) -> TrialScheduler:
    from ray.tune.schedulers import MedianStoppingRule

    # Without this time slice it pauses a trial at every epoch until it has enough others to compare with.
    return MedianStoppingRule(
        time_attr="epoch", metric=best(plan), mode="max", grace_period=grace(plan.epochs), min_time_slice=math.inf
    )


def _pbt(plan: Plan) -> TrialScheduler:
    from tuning.schedulers.population import Population

    # Not the best so far: a trial takes that over with the state, and it would hide what a change did.
    return Population(plan.options.metric, grace(plan.epochs), plan.space, plan.options.seed)


def _check_pbt(plan: Plan) -> None:
    if not changeable(plan.space):
        raise UserError(
            "--scheduler pbt changes settings during a training, and none that may change is searched; "
            f"search one of {', '.join(CHANGEABLE)}"
        )
    if plan.trials < QUARTER:
        raise UserError(f"--scheduler pbt with {plan.trials} trials: needs at least {QUARTER}, it compares quarters")


def _none(plan: Plan) -> TrialScheduler:
    from ray.tune.schedulers import FIFOScheduler

    return FIFOScheduler()


SCHEDULERS = {
    "asha": Kind(build=_asha),
    "hyperband": Kind(build=_hyperband, pauses=True),
    "median": Kind(build=_median),
    "pbt": Kind(build=_pbt, check=_check_pbt, pauses=True, changes=True, interval=grace),
    "none": Kind(build=_none),
}
