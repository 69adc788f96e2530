"""Trials of one worker in Tune's own actors, one trial after another.

A `TorchTrainer` starts three processes for a trial. Here a process that has imported torch and has the dataset takes the
next trial at once. Between two trials the model, the scratch folder and GPU memory are cleared. Random states need no
clearing, because each epoch seeds its own.

A trial begins with its first step, not in `reset_config`. Tune restarts a trial that fails in a step, but gives up a trial
whose process could not be reset, even if only the storage did not answer.
"""

from __future__ import annotations

import gc
from typing import Any

import ray
import torch
from ray import tune
from ray.tune.result import RESULT_DUPLICATE

from tuning.trial.checkpoints import Checkpoints, mend
from tuning.trial.loop import Place, reports
from tuning.trial.plan import TrialPlan

ENDED = {RESULT_DUPLICATE: True}
"""The result that tells Tune that there is nothing to add to the last report."""


def trainable(plan: TrialPlan) -> Any:
    """Return the class that Tune runs for each trial. The actor trains, so it takes a worker's resources."""
    return tune.with_resources(tune.with_parameters(InlineTrial, plan=plan), plan.worker_resources)


class InlineTrial(tune.Trainable):
    """The Tune trainable: an epoch is a step."""

    def setup(self, config: dict[str, Any], plan: TrialPlan) -> None:
        self.plan, self.dataset = plan, ray.get(plan.dataset)
        gc.freeze()  # Ray, torch and the dataset stay: the collector looks through the trials' objects only
        self.settings, self.reports = config, None

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Tune calls this in place of `setup` with the next trial, or a trial that continues."""
        self.cleanup()
        self.settings, self.reports = new_config, None
        return True

    def step(self) -> dict[str, Any]:
        if self.reports is None:
            self._begin()
        report = next(self.reports, None)
        if report is None:
            return ENDED
        if report.state is not None:
            self.checkpoints.add(report.state, report.metrics, report.name)
        return report.metrics

    def cleanup(self) -> None:
        """Drop the trial, wherever it stopped."""
        if self.reports is None:
            return
        self.reports.close()
        gc.collect()
        if self.device.type == "cuda":
            torch.cuda.empty_cache()

    def save_checkpoint(self, checkpoint_dir: str) -> dict[str, Any]:
        """Tune asks for a checkpoint when it pauses a trial. The last epoch's is in storage already."""
        return {}

    def load_checkpoint(self, checkpoint: dict[str, Any] | None) -> None:
        """A trial that continues reads its newest checkpoint from storage."""

    def _begin(self) -> None:
        self.device = torch.device("cuda" if self.plan.gpus_per_worker else "cpu")
        mended = mend(self.plan.folder, self.trial_id, self.plan.interval)
        self.checkpoints = Checkpoints(self.plan.folder, self.trial_id, self.plan.interval)
        place = Place(trial_id=self.trial_id, device=self.device, previous=self.checkpoints.newest, mended=mended)
        self.reports = reports(self.settings, self.plan, self.dataset, place)
