"""One trial: what it trains, and the two ways of running it on Ray.

    plan.py            what all trials of a sweep share
    loop.py            the training of one trial, report by report: the same for both ways
    torch_trainer.py   `torch`: each trial starts a Ray Train `TorchTrainer`, of one or several workers
    inline.py          `inline`: trials of one worker, one after the other in the same processes
    checkpoints.py     where an inline trial keeps its checkpoints: as Ray Train does

A way is a class with `trainable` and a line in `TRAINERS`. Everything else of a sweep, from the
search to the export, does not know which one runs its trials.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tuning.trial.plan import TrialPlan


@dataclass(frozen=True, kw_only=True)
class Trainer:
    """A way of running trials, by name."""

    trainable: Callable[[TrialPlan, int | None], Any]
    """Return the trainable of a plan. With a number, only so many trials have an actor at a time."""
    reuses: bool
    """Whether a trial takes over the process of the one before."""
    dashboard: bool
    """Whether it needs Ray's dashboard: Ray Train asks there whether a trial that it trains for still lives."""


def _torch(plan: TrialPlan, at_a_time: int | None) -> Any:
    from tuning.trial.torch_trainer import trainable

    return trainable(plan, at_a_time)


def _inline(plan: TrialPlan, at_a_time: int | None) -> Any:
    from tuning.trial.inline import trainable

    return trainable(plan)  # the CPUs that it takes are the limit


TRAINERS = {
    "torch": Trainer(trainable=_torch, reuses=False, dashboard=True),
    "inline": Trainer(trainable=_inline, reuses=True, dashboard=False),
}
