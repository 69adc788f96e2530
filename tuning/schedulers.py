"""Schedulers: who stops a trial early, by its validation metric at an epoch.

Epochs are counted by the training (`epoch`), not by Tune, whose own count restarts when a trial is
started again after a crash.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ray.tune.schedulers import TrialScheduler

REDUCTION = 2
"""Share of trials that go on at a rung of ASHA and HyperBand: one in two.
A sweep has tens of trials rather than thousands, and 1/2 needs the fewest to tell good from bad."""


def grace(epochs: int) -> int:
    """Epochs that a trial is given before it may be stopped."""
    return max(1, epochs // 4)


def _asha(metric: str, epochs: int) -> TrialScheduler:
    from ray.tune.schedulers import ASHAScheduler

    return ASHAScheduler(
        time_attr="epoch",
        metric=metric,
        mode="max",
        # Beyond the last epoch: a trial that ends by itself must not be killed while it does.
        max_t=epochs + 1,
        grace_period=grace(epochs),
        reduction_factor=REDUCTION,
    )


def _hyperband(metric: str, epochs: int) -> TrialScheduler:
    from ray.tune.schedulers import HyperBandScheduler

    return HyperBandScheduler(
        time_attr="epoch", metric=metric, mode="max", max_t=epochs + 1, reduction_factor=REDUCTION
    )


def _median(metric: str, epochs: int) -> TrialScheduler:
    from ray.tune.schedulers import MedianStoppingRule

    return MedianStoppingRule(time_attr="epoch", metric=metric, mode="max", grace_period=grace(epochs))


def _none(metric: str, epochs: int) -> TrialScheduler:
    from ray.tune.schedulers import FIFOScheduler

    return FIFOScheduler()


SCHEDULERS: dict[str, Callable[[str, int], TrialScheduler]] = {
    "asha": _asha,
    "hyperband": _hyperband,
    "median": _median,
    "none": _none,
}


def build_scheduler(name: str, metric: str, epochs: int) -> TrialScheduler:
    """The scheduler for trials of at most `epochs` epochs (all stages) that maximise `metric`."""
    return SCHEDULERS[name](metric, epochs)
