"""Trials of one worker in Tune's own actors, which go from trial to trial.

A `TorchTrainer` starts three processes for a trial; here a process that has imported torch and has
the dataset takes the next trial at once. What a trial leaves in the process is cleared between two:
its model, its scratch folder and GPU memory. Random states need nothing: each epoch seeds its own.

A trial begins with its first step, not where it is handed over: Tune starts a trial that fails in a step again,
and gives up one whose process could not be reset, though it was the storage that did not answer.
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
"""How a trainable tells Tune that it had nothing to add to its last report."""


def trainable(plan: TrialPlan) -> Any:
    """What Tune runs for each trial. The actor trains, so it takes what a worker takes."""
    return tune.with_resources(tune.with_parameters(InlineTrial, plan=plan), plan.worker_resources)


class InlineTrial(tune.Trainable):
    """The Tune trainable: an epoch is a step."""

    def setup(self, config: dict[str, Any], plan: TrialPlan) -> None:
        self.plan, self.dataset = plan, ray.get(plan.dataset)
        gc.freeze()  # Ray, torch and the dataset are there to stay: between two trials only theirs is looked through
        self.settings, self.reports = config, None

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Called with the next trial, or one that goes on, in place of `setup`."""
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
        """Drop the trial, wherever it was stopped."""
        if self.reports is None:
            return
        self.reports.close()
        gc.collect()
        if self.device.type == "cuda":
            torch.cuda.empty_cache()

    def save_checkpoint(self, checkpoint_dir: str) -> dict[str, Any]:
        """Tune asks for one when it pauses a trial; that of the last epoch is in storage already."""
        return {}

    def load_checkpoint(self, checkpoint: dict[str, Any] | None) -> None:
        """A trial that goes on has read its newest checkpoint from storage."""

    def _begin(self) -> None:
        self.device = torch.device("cuda" if self.plan.gpus_per_worker else "cpu")
        mended = mend(self.plan.folder, self.trial_id, self.plan.interval)
        self.checkpoints = Checkpoints(self.plan.folder, self.trial_id, self.plan.interval)
        place = Place(trial_id=self.trial_id, device=self.device, previous=self.checkpoints.newest, mended=mended)
        self.reports = reports(self.settings, self.plan, self.dataset, place)
