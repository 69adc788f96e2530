"""HyperBand for trials that report their own end (`finished`, `fault`)."""

from __future__ import annotations

import dataclasses
from typing import Any

from ray.tune.experiment import Trial

from tuning.faults import FAULT
from tuning.ray_internals.hyperband import CorrectedHyperBand
from tuning.trial.restart import leave_note, restart_of


class HyperBand(CorrectedHyperBand):
    """Halves the trials at each rung. A paused trial gets a note of its last epoch."""

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        if result.get("finished") or FAULT in result:
            self.leave_bracket(trial)
            return self.CONTINUE
        action = super().on_trial_result(tune_controller, trial, result)
        if action == self.PAUSE:
            leave_note(trial, dataclasses.replace(restart_of(trial.config), seen=result["epoch"]))
        return action
