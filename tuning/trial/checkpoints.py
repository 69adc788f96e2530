"""A trial's checkpoints in the sweep's storage, in the layout of Ray Train.

A file system can lose its last writes. So two checkpoints are kept, and the trial continues from the older one if the newer
is damaged. Ray Train itself gives a trial up if its list of checkpoints is cut off or names a missing one. It fails at a
checkpoint that cannot be read.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from pyarrow import fs
from ray import train
from ray.train import Checkpoint

from fame.artifacts.checkpoint import load_checkpoint
from fame.errors import UserError
from fame.training.fit import CHECKPOINT, Trained, read_trained
from tuning.ray_internals.train_checkpoints import Bookkeeping, StorageContext

T = TypeVar("T")

KEPT = 2
"""Checkpoints of a trial that are kept: the newest, and the one before."""
MILESTONE = "milestone"
"""Key of a report: whether its checkpoint is kept for other trials."""
MILESTONES = 10
"""Most milestones of a trial that are kept. Workers run ahead before they are paused."""


def checkpoint_config(interval: int) -> train.CheckpointConfig:
    """Return the rules of keeping checkpoints. The newest one is always kept, and has the best weights, too."""
    if not interval:
        return train.CheckpointConfig(num_to_keep=KEPT)
    return train.CheckpointConfig(num_to_keep=MILESTONES, checkpoint_score_attribute=MILESTONE)


class Checkpoints(Bookkeeping):
    """A trial's checkpoints, kept as Ray Train keeps them."""

    def __init__(self, folder: str, trial_id: str, interval: int) -> None:
        super().__init__(folder, trial_id, checkpoint_config(interval))


class Kept:
    """A trial's checkpoints in storage, read without Ray Train, which trusts its list."""

    def __init__(self, folder: str, trial_id: str) -> None:
        self.storage = StorageContext(storage_path=folder, experiment_dir_name=trial_id, read_only=True)
        self.files: fs.FileSystem = self.storage.storage_filesystem

    def newest(self, read: Callable[[Path], T]) -> tuple[str | None, T | None, list[str]]:
        """Return name and content of the newest readable checkpoint, and the damage of newer ones.

        `read` reads a folder and raises `UserError` if it cannot.
        """
        damage: list[str] = []
        listed = self.listed()
        for name in self._found() if listed is None else listed:
            try:
                with self.checkpoint(name).as_directory() as local:
                    return name, read(Path(local)), damage
            except FileNotFoundError:
                damage.append(f"no such checkpoint: {self._at(name)}")
            except UserError as error:
                damage.append(str(error))
        return None, None, damage

    def listed(self) -> list[str] | None:
        """Return the names on Ray Train's list, newest first; None if the list is damaged."""
        path = self.storage.checkpoint_manager_snapshot_path
        if not self.files.get_file_info(path).is_file:
            return []
        try:
            with self.files.open_input_stream(path) as file:
                state = json.loads(file.read())
            numbered = zip(state["checkpoint_report_indices"], state["checkpoint_results"], strict=True)
            return [one["checkpoint_dir_name"] for _, one in sorted(numbered, key=lambda pair: -pair[0])]
        except (ValueError, KeyError, TypeError):
            return None

    def folders(self) -> list[str]:
        """Return the names of all checkpoints, listed or not, whole or not."""
        selector = fs.FileSelector(self.storage.experiment_fs_path, allow_not_found=True)
        return [info.base_name for info in self.files.get_file_info(selector) if info.type == fs.FileType.Directory]

    def checkpoint(self, name: str) -> Checkpoint:
        return Checkpoint(path=self._at(name), filesystem=self.files)

    def remove(self, name: str) -> None:
        self.files.delete_dir(self._at(name))

    def _found(self) -> list[str]:
        """Return the names of all checkpoints by their time, newest first."""
        files = {name: self.files.get_file_info(f"{self._at(name)}/{CHECKPOINT}") for name in self.folders()}
        return sorted((name for name, file in files.items() if file.is_file), key=lambda name: -files[name].mtime_ns)

    def _at(self, name: str) -> str:
        return self.storage.build_checkpoint_path_from_name(name)


def read_trial(trials: str, trial_id: str) -> Trained | None:
    """Return the newest readable checkpoint of a trial, or None if it has none."""
    name, trained, damage = Kept(trials, trial_id).newest(read_trained)
    if damage:
        print(f"trial {trial_id}: {'; '.join(damage)}; {f'{name} is used' if name else 'it is skipped'}")
    return trained


def mend(folder: str, trial_id: str, interval: int) -> str | None:
    """Remove the checkpoints from which a trial cannot continue. Return the damage as a line."""
    kept = Kept(folder, trial_id)
    listed = kept.listed()
    newest, header, damage = kept.newest(lambda local: load_checkpoint(local / CHECKPOINT)[1])
    older = listed[listed.index(newest) + 1 :] if listed is not None and newest is not None else []
    good = [name for name in (newest, *older) if name in (there := kept.folders())]
    for name in set(there) - set(good):  # damaged, or cut off before it was listed
        kept.remove(name)
    if good == listed:
        return None
    kept.files.delete_file(kept.storage.checkpoint_manager_snapshot_path)
    manager = Checkpoints(folder, trial_id, interval)
    for name in reversed(good):
        manager.register(kept.checkpoint(name), {MILESTONE: name.startswith("epoch-")})
    where = "the beginning" if header is None else f"epoch {len(header['history'])}"
    return f"{'; '.join(damage) or 'the list of its checkpoints is damaged'}; it goes on from {where}"
