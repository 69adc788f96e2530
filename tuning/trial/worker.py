"""The training function of a slot's workers: one trial after another, until the slot ends.

Between two trials the model, the scratch folder and GPU memory are cleared. Random states need no clearing, because each
epoch seeds its own. The first worker keeps the checkpoints.
"""

from __future__ import annotations

import gc
from collections.abc import Generator
from typing import Any

import torch
from ray import train
from ray.train.torch import get_device

from tuning.trial import mailbox
from tuning.trial.checkpoints import Checkpoints
from tuning.trial.loop import Report, reports
from tuning.trial.mailbox import End, Start
from tuning.trial.plan import TrialPlan


def train_loop(config: dict[str, Any]) -> None:
    """Train the trials that come as commands, a report for each command."""
    plan: TrialPlan = config["plan"]
    worker = Worker(plan, first=train.get_context().get_world_rank() == 0, device=get_device())
    while not isinstance(command := mailbox.COMMANDS.get(), End):
        if isinstance(command, Start):
            worker.start(command)
        metrics = worker.go()
        if worker.first:
            mailbox.REPORTS.put(metrics)
    worker.clear()


class Worker:
    """The trial that a worker trains now."""

    def __init__(self, plan: TrialPlan, first: bool, device: torch.device) -> None:
        self.plan, self.first, self.device = plan, first, device
        self.dataset = plan.dataset.load()
        self.reports: Generator[Report] | None = None
        gc.freeze()  # Ray, torch and the dataset stay: the collector looks through the trials' objects only

    def start(self, command: Start) -> None:
        self.clear()
        if self.first:
            self.checkpoints = Checkpoints(self.plan.folder, command.place.trial_id, self.plan.interval)
        self.reports = reports(command.config, self.plan, self.dataset, command.place, self.device)

    def go(self) -> dict[str, Any] | None:
        """Go on to the next report, keep its checkpoint, then return its metrics. Return None if there is none."""
        assert self.reports is not None
        report = next(self.reports, None)
        if report is None:
            return None
        if report.state is not None:  # at the first worker only
            self.checkpoints.add(report.state, report.metrics, report.name)
        return report.metrics

    def clear(self) -> None:
        """Drop the trial, wherever it stopped."""
        if self.reports is None:
            return
        self.reports.close()
        self.reports = None
        gc.collect()
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
