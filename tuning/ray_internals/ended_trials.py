"""What Tune keeps of a trial that has ended.

Tune keeps statistics of each number of each report, and as JSON once more. Nobody reads them here, and they are most of
the memory of a sweep of thousands of trials.

Assumptions: a trial's `run_metadata` has them as `metric_analysis` and `metric_n_steps`, and only Tune's own table of
results reads them.
"""

from __future__ import annotations

from typing import Any

from ray.tune import Callback
from ray.tune.experiment import Trial


class EndedTrials(Callback):
    """Drops what nobody needs of a trial that has ended. Give it to `tune.RunConfig(callbacks=[...])`."""

    def on_trial_complete(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        trial.run_metadata.metric_analysis, trial.run_metadata.metric_n_steps = {}, {}

    on_trial_error = on_trial_complete
