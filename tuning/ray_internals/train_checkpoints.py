"""Ray Train's book-keeping of checkpoints, without the trainer around it.

Assumptions: `CheckpointManager` lists the checkpoints of a run in a file that its `StorageContext` names. It keeps as
many as `CheckpointConfig` says, and needs an event loop only in `_notify`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ray import train
from ray.train import Checkpoint
from ray.train.v2._internal.execution.checkpoint.checkpoint_manager import CheckpointManager
from ray.train.v2._internal.execution.storage import StorageContext
from ray.train.v2._internal.execution.training_report import _TrainingReport

__all__ = ["Bookkeeping", "StorageContext"]


class Bookkeeping(CheckpointManager):
    """The checkpoints of one run in the folder `run` below `folder`."""

    def __init__(self, folder: str, run: str, config: train.CheckpointConfig) -> None:
        self.storage = StorageContext(storage_path=folder, experiment_dir_name=run)
        super().__init__(config, self.storage)

    @property
    def newest(self) -> Checkpoint | None:
        result = self.latest_checkpoint_result
        return None if result is None else result.checkpoint

    def add(self, state: Path, metrics: dict[str, Any], name: str | None = None) -> None:
        """Copy the folder `state` to storage as the newest checkpoint, and drop checkpoints beyond the limit."""
        name = name or self.storage.make_default_checkpoint_dir_name()
        self.register(self.storage.persist_current_checkpoint(Checkpoint.from_directory(state), name), metrics)

    def register(self, checkpoint: Checkpoint, metrics: dict[str, Any]) -> None:
        """List a checkpoint that is in storage as the newest."""
        self.register_checkpoint(_TrainingReport(checkpoint=checkpoint, metrics=metrics, validation=False))

    def _notify(self) -> None:
        """Nobody waits for a checkpoint here. Ray's own method needs the event loop of its controller."""
