"""A trial's checkpoints in the sweep's storage, in the layout of Ray Train."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ray import train
from ray.train import Checkpoint
from ray.train.v2._internal.execution.checkpoint.checkpoint_manager import CheckpointManager
from ray.train.v2._internal.execution.storage import StorageContext
from ray.train.v2._internal.execution.training_report import _TrainingReport

from tuning.trial.loop import MILESTONE

MILESTONES = 10
"""Most milestones of a trial that are kept; more than it has, for workers run ahead before they are paused."""


def checkpoint_config(interval: int) -> train.CheckpointConfig:
    """The newest checkpoint is always kept, and carries the best weights, too."""
    if not interval:
        return train.CheckpointConfig(num_to_keep=1)
    return train.CheckpointConfig(num_to_keep=MILESTONES, checkpoint_score_attribute=MILESTONE)


class Checkpoints(CheckpointManager):
    """Ray Train's own book-keeping, without the trainer around it.

    So whatever reads a trial's folder (the export, a resumed sweep, another trial of a population)
    finds the same files, whichever trainer wrote them.
    """

    def __init__(self, folder: str, trial_id: str, interval: int) -> None:
        self.storage = StorageContext(storage_path=folder, experiment_dir_name=trial_id)
        super().__init__(checkpoint_config(interval), self.storage)

    @property
    def newest(self) -> Checkpoint | None:
        result = self.latest_checkpoint_result
        return None if result is None else result.checkpoint

    def add(self, state: Path, metrics: dict[str, Any], name: str | None = None) -> None:
        """Copy the folder `state` to storage as the newest checkpoint, and drop those that are not kept."""
        name = name or self.storage.make_default_checkpoint_dir_name()
        kept = self.storage.persist_current_checkpoint(Checkpoint.from_directory(state), name)
        self.register_checkpoint(_TrainingReport(checkpoint=kept, metrics=metrics, validation=False))

    def _notify(self) -> None:
        """Nobody waits for a checkpoint here; Ray's own needs the event loop of its controller."""
