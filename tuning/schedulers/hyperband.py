"""HyperBand on Ray's scheduler, with the paper's order of brackets and mended where trials end early.

Li et al. 2018: a bracket is a group of trials; at its rungs all of them are paused, the better half
goes on and the rest is stopped. The first bracket is the one that stops most.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from ray.tune.experiment import Trial
from ray.tune.schedulers import HyperBandScheduler

from tuning.faults import FAULT
from tuning.trial.restart import leave_note, restart_of


class HyperBand(HyperBandScheduler):
    """Halves at each rung; reads `epoch`, and the ends that a trial reports (`finished`, `fault`)."""

    def __init__(self, metric: str, epochs: int) -> None:
        # The last trials of a bracket end by themselves: stopped at their last epoch they would count as pruned.
        super().__init__("epoch", metric, "max", max_t=epochs, reduction_factor=2, stop_last_trials=False)
        # Ray rounds the number of brackets up, and may make one whose first rung is at epoch 0.
        self._s_max_1 = epochs.bit_length()

    def _create_bracket(self, s: int) -> Any:
        # Ray begins with the bracket that stops nothing, which takes all trials of a short sweep.
        return super()._create_bracket(self._s_max_1 - 1 - s)

    def on_trial_add(self, tune_controller: Any, trial: Trial) -> None:
        # A restored sweep adds its finished trials, too; their bracket would wait for them for ever.
        if not trial.is_finished():
            super().on_trial_add(tune_controller, trial)

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        if result.get("finished") or FAULT in result:
            # It is about to end: paused, it would have to be started again for that.
            self._trial_info[trial][0].cleanup_trial(trial)
            return self.CONTINUE
        action = super().on_trial_result(tune_controller, trial, result)
        if action == self.PAUSE:
            leave_note(trial, dataclasses.replace(restart_of(trial.config), seen=result["epoch"]))
        return action

    def _process_bracket(self, tune_controller: Any, bracket: Any) -> str:
        try:
            return super()._process_bracket(tune_controller, bracket)
        finally:
            # Ray never takes this mark back: after the first rung, trials that wait for one that ends
            # early or fails would wait for ever.
            bracket.is_being_processed = False
