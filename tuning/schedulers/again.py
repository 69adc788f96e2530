"""Trials that go on when a sweep gets more trials or epochs, and what a new scheduler learns from those that were there."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np

from tuning.schedulers.limits import REDUCTION
from tuning.study.trials import SweepTrial

if TYPE_CHECKING:
    from ray.tune.schedulers import TrialScheduler


def better_part(trials: Sequence[SweepTrial]) -> list[SweepTrial]:
    """Return the ended trials that the scheduler would let go on now, the best first.

    A trial is compared with all trials that have had its last epoch, also with later ones, as ASHA does at a rung.
    """
    ended = [trial for trial in trials if trial.ended and trial.fault is None and trial.curve]
    found = []
    for trial in ended:
        others = [other.best_until(trial.epoch) for other in trials if trial.epoch in other.curve]
        value = trial.best_until(trial.epoch)
        if value >= np.percentile(others, 100 * (1 - 1 / REDUCTION)):
            found.append((value, trial))
    return [trial for _, trial in sorted(found, key=lambda pair: -pair[0])]


def replay(scheduler: TrialScheduler, trials: Sequence[SweepTrial], metric: str) -> None:
    """Tell a new scheduler all epochs that the study has. `metric` is the one that the scheduler reads."""
    controller: Any = None  # such a scheduler does not ask it
    for trial in trials:
        known: Any = SimpleNamespace(trial_id=trial.id)
        scheduler.on_trial_add(controller, known)
        for epoch in trial.curve:
            scheduler.on_trial_result(controller, known, {"epoch": epoch, metric: trial.best_until(epoch)})
        scheduler.on_trial_remove(controller, known)
