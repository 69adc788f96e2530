"""The settings that all trials of a sweep share, and the experiment of one trial."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fame.config import Experiment
from fame.config.tree import experiment_from_dict
from tuning.space import settings_at
from tuning.study.aims import Limit
from tuning.trial.shared_dataset import SharedDataset


@dataclass(frozen=True, kw_only=True)
class TrialPlan:
    """The settings that all trials of a sweep share."""

    base: Mapping[str, Any]
    """Settings of every trial, as nested dictionaries. A trial's own point is set into them."""
    dataset: SharedDataset
    folder: str
    """Folder of the trials' checkpoints, a path or URI that every node reaches. Each trial has a folder in it."""
    metric: str
    """Validation metric that the search maximises."""
    watched: tuple[str, ...] = ()
    """Names of the other aims, and of the numbers with limits."""
    limits: tuple[Limit, ...] = ()
    workers: int
    cpus_per_worker: int
    gpus_per_worker: float
    hang_after: float = 0
    """Seconds without a sign of life after which a trial's processes are ended. 0 asks for no signs."""
    stages: str | None = None
    """Path or URI of the folder in which trials share stages. None if they share none."""
    interval: int = 0
    """Epochs between the checkpoints that other trials can start from. 0 keeps none."""

    @property
    def worker_resources(self) -> dict[str, float]:
        """The resources of one worker, in Ray's words."""
        gpus = {"GPU": self.gpus_per_worker} if self.gpus_per_worker else {}
        return {"CPU": self.cpus_per_worker, **gpus}


def trial_experiment(base: Mapping[str, Any], point: Mapping[str, Any]) -> Experiment:
    """Return the experiment of the trial at `point`."""
    return experiment_from_dict(settings_at(base, point))
