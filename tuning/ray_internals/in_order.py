"""Ray's schedulers that take trials in their order, without a look at all trials at each step of Tune.

Assumptions: a scheduler's `choose_trial_to_run` may ask for `get_live_trials`, those that have not ended. A trial's tag
begins with its number.
"""

from __future__ import annotations

from typing import Any

from ray.tune.experiment import Trial
from ray.tune.schedulers import ASHAScheduler, FIFOScheduler, MedianStoppingRule


class _InOrder(FIFOScheduler):
    def choose_trial_to_run(self, tune_controller: Any) -> Trial | None:
        waiting = [t for t in tune_controller.get_live_trials() if t.status in (Trial.PENDING, Trial.PAUSED)]
        return min(waiting, key=lambda trial: (trial.status == Trial.PAUSED, _number(trial)), default=None)


class Asha(_InOrder, ASHAScheduler):
    """Ray's ASHA."""


class Median(_InOrder, MedianStoppingRule):
    """Ray's median rule."""


class Fifo(_InOrder):
    """No early stopping."""


def _number(trial: Trial) -> int:
    return int(trial.experiment_tag.partition("_")[0])
