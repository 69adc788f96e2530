"""Notes Tune's events for MLflow."""

from __future__ import annotations

from typing import Any

from ray.tune import Callback
from ray.tune.experiment import Trial

from tuning.faults import FAULT
from tuning.tracking.projection import Projection, opened
from tuning.trial.restart import point_of


class TrackingCallback(Callback):
    """Give it to `tune.RunConfig(callbacks=[...])`. It needs an open projection.

    Tune pickles it into the sweep's folder. The copy holds the sweep's name, no connection and no password. It uses the
    projection that the restoring process opened under that name.
    """

    def __init__(self, projection: Projection) -> None:
        self._sweep = projection.sweep

    @property
    def projection(self) -> Projection:
        return opened(self._sweep)

    def on_step_end(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        self.projection.check()

    def on_trial_start(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        self.projection.reports.begin(trial.trial_id, point_of(trial.config))

    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **info: Any
    ) -> None:
        if FAULT not in result:  # its numbers are for the scheduler
            self.projection.reports.note(trial.trial_id, result)

    def on_trial_complete(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        self.projection.reports.end(trial.trial_id)

    def on_trial_error(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        self.projection.reports.end(trial.trial_id)
