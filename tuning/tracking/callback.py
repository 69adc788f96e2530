"""Ray Tune's events as runs in MLflow."""

from __future__ import annotations

import math
import numbers
from collections.abc import Mapping
from typing import Any

from ray.tune import Callback
from ray.tune.experiment import Trial
from ray.tune.result import AUTO_RESULT_KEYS, DEBUG_METRICS

from tuning.faults import FAULT, Fault
from tuning.study.trials import run_name
from tuning.tracking import TRIAL, Status, Tracker, opened
from tuning.trial.restart import fault_noted, point_of

NOT_METRICS = {*AUTO_RESULT_KEYS, *DEBUG_METRICS, "epoch"}
"""Numbers of a report that describe Ray's processes, and the epoch, which is the step."""


def numbers_of(report: Mapping[str, Any]) -> dict[str, float]:
    """What of a report are metrics."""
    return {
        key: float(value)
        for key, value in report.items()
        if isinstance(value, numbers.Real) and not isinstance(value, bool) and key not in NOT_METRICS
    }


def tags_of(fault: Fault | None) -> dict[str, str]:
    """What tells of a fault."""
    return {} if fault is None else {"failure": fault.kind, "error": fault.reason}


class TrackingCallback(Callback):
    """Give it to `tune.RunConfig(callbacks=[...])`; it needs an open tracker.

    Tune pickles it into the sweep's folder. The copy holds the sweep's name, no connection and no
    password, and uses the tracker that the restoring process opened under that name.
    """

    def __init__(self, tracker: Tracker, metric: str, kind: str = TRIAL) -> None:
        self._sweep = tracker.sweep
        self._metric = metric
        self._kind = kind

    @property
    def tracker(self) -> Tracker:
        return opened(self._sweep)

    def on_trial_start(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        self._start(trial)

    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **info: Any
    ) -> None:
        if FAULT in result:  # what it carries beside the reason is for the scheduler
            return
        self.tracker.log_epoch(trial.trial_id, int(result["epoch"]), numbers_of(result))

    def on_trial_complete(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        result = trial.last_result or {}
        if (fault := Fault.of(result)) is not None:
            self._end(trial, "failed", tags_of(fault))
        else:  # Tune sets the trial's status after this call
            self._end(trial, "finished" if result.get("finished") else "pruned")

    def on_trial_error(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """It could not tell why itself."""
        self._end(trial, "failed", tags_of(fault_noted(trial.config)))

    def _start(self, trial: Trial) -> None:
        name = run_name(trial.config, trial.trial_id)
        self.tracker.start_trial(trial.trial_id, point_of(trial.config), name, self._kind)

    def _end(self, trial: Trial, status: Status, tags: Mapping[str, object] | None = None) -> None:
        if not self.tracker.knows(trial.trial_id):  # it ended before it started here: paused, or its actor died
            self._start(trial)
        result = trial.last_result or {}
        value = math.nan if FAULT in result else result.get(f"best_{self._metric}", math.nan)
        self.tracker.end_trial(trial.trial_id, status, value, tags)
