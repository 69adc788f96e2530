"""Makes Tune keep less of a trial that has ended.

Tune keeps statistics of each number of each report, its checkpoint with the last report once more, and all of it as JSON
too. Nobody reads them here, and they are most of the memory of a sweep of thousands of trials.

Assumptions: a trial's `run_metadata` has them as `metric_analysis`, `metric_n_steps` and `checkpoint_manager`, and only
Tune's own table of results reads them. A trial's last checkpoint is saved before its end is told.
"""

from __future__ import annotations

import sys
from typing import Any

from ray.train._internal.checkpoint_manager import _CheckpointManager
from ray.tune import Callback
from ray.tune.experiment import Trial

KNOWN = ("config", "experiment_tag")
"""Keys of a report that only repeat what the trial has."""


class EndedTrials(Callback):
    """Drops what nobody needs of a trial that has ended. Give it to `tune.RunConfig(callbacks=[...])`."""

    def on_trial_complete(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        kept = trial.run_metadata
        kept.metric_analysis, kept.metric_n_steps = {}, {}
        kept.checkpoint_manager = _CheckpointManager(None)
        kept.last_result = {sys.intern(key): value for key, value in kept.last_result.items() if key not in KNOWN}

    on_trial_error = on_trial_complete
