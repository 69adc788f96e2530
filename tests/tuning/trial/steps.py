"""A slot, driven step by step as Tune drives it, with its worker in this process."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

from ray.tune.result import DONE, TRIAL_INFO

from fame.training.fit import fit
from fame.training.resolve import resolve
from tests.fame.helpers import CPU, TIMINGS
from tuning.trial import loop, slot
from tuning.trial.mailbox import Command, Start
from tuning.trial.plan import TrialPlan, trial_experiment
from tuning.trial.slot import ENDED, Slot
from tuning.trial.worker import Worker

SMALL, LARGE = {"train.lr": 1e-3}, {"train.lr": 1e-2, "model.dim": 16}


class SameProcess:
    """In place of a TorchTrainer: one worker in this process, with its mailbox."""

    def __init__(self, plan: TrialPlan) -> None:
        self.worker = Worker(plan, first=True, device=CPU)

    def ask(self, command: Command) -> dict[str, Any] | None:
        if isinstance(command, Start):
            self.worker.start(command)
        return self.worker.go()

    def end(self) -> None:
        self.worker.clear()


def configured(trial_id: str, point: dict[str, Any]) -> dict[str, Any]:
    """A trial's configuration, as it comes to an actor."""
    return {**point, TRIAL_INFO: SimpleNamespace(trial_id=trial_id)}


def actor(plan: TrialPlan, trial_id: str, point: dict[str, Any]) -> Slot:
    planned = type("Actor", (Slot,), {"plan": plan})
    with mock.patch.object(slot, "KeptTrainer", SameProcess):
        return planned(configured(trial_id, point))


def steps(trial: Slot) -> list[dict[str, Any]]:
    """Results of all steps to the end, without what differs from run to run."""
    found = []
    for result in iter(trial.step, ENDED):
        found.append(stable(result))
        if result.get(DONE):
            break
    return found


def stable(result: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in result.items() if key not in {*TIMINGS, loop.TRIAL_SECONDS}}


def alone(plan: TrialPlan, point: dict[str, Any], folder: Path) -> list[dict[str, Any]]:
    """Return the trial's reports if it is trained without Ray."""
    dataset = plan.dataset.load()
    experiment = resolve(trial_experiment(plan.base, point), dataset, CPU, plan.cpus_per_worker)
    folder.mkdir()
    reports = fit(experiment, dataset.sequences, folder)
    return [stable(loop.reported_metrics(report, experiment.train.metric)) for report in reports]
