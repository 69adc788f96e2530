"""Ray's HyperBand with the paper's order of brackets, corrected where trials end early.

Li et al. 2018: a bracket is a group of trials. At its rungs all of them are paused, the better half goes on and the rest
is stopped. The first bracket is the one that stops most.

Assumptions: `_s_max_1` is the number of brackets, `_create_bracket(s)` makes the one with index `s`, `_trial_info` maps a
trial to its bracket, and `_process_bracket` leaves `is_being_processed` set.
"""

from __future__ import annotations

from typing import Any

from ray.tune.experiment import Trial
from ray.tune.schedulers import HyperBandScheduler


class CorrectedHyperBand(HyperBandScheduler):
    """Halves the trials of a bracket at each rung, by the epochs in `epoch`."""

    def __init__(self, metric: str, epochs: int) -> None:
        # The last trials of a bracket end by themselves: stopped at their last epoch they would count as pruned.
        super().__init__("epoch", metric, "max", max_t=epochs, reduction_factor=2, stop_last_trials=False)
        # Ray rounds the number of brackets up, and may make one whose first rung is at epoch 0.
        self._s_max_1 = epochs.bit_length()

    def on_trial_add(self, tune_controller: Any, trial: Trial) -> None:
        # A restored sweep adds its finished trials, too. Their bracket would wait for them for ever.
        if not trial.is_finished():
            super().on_trial_add(tune_controller, trial)

    def leave_bracket(self, trial: Trial) -> None:
        """Let a trial end outside its bracket: paused, it would have to be started again for its end."""
        self._trial_info[trial][0].cleanup_trial(trial)

    def _create_bracket(self, s: int) -> Any:
        # Ray begins with the bracket that stops nothing, which takes all trials of a short sweep.
        return super()._create_bracket(self._s_max_1 - 1 - s)  # type: ignore[no-untyped-call] # Ray has no types here

    def _process_bracket(self, tune_controller: Any, bracket: Any) -> str:
        try:
            return super()._process_bracket(tune_controller, bracket)
        finally:
            # Ray never takes this mark back. After the first rung, trials that wait for one that ends early or fails
            # would wait for ever.
            bracket.is_being_processed = False
