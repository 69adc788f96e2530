"""Tests of the assumptions of `tuning.ray_internals.train_checkpoints` about Ray Train."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from ray import train

from tuning.ray_internals.train_checkpoints import Bookkeeping, StorageContext

pytestmark = pytest.mark.filterwarnings("ignore:The `(json|parse_obj)` method:DeprecationWarning")


def test_the_list_names_the_newest_checkpoints_and_the_folder_has_no_others(tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir()
    kept = Bookkeeping(str(tmp_path / "trials"), "a", train.CheckpointConfig(num_to_keep=2))
    assert kept.newest is None
    for number in (1, 2, 3):
        (state / "epoch").write_text(str(number))
        kept.add(state, {"epoch": number}, f"epoch-{number}")
    again = Bookkeeping(str(tmp_path / "trials"), "a", train.CheckpointConfig(num_to_keep=2))
    with again.newest.as_directory() as folder:
        assert (Path(folder) / "epoch").read_text() == "3"
    storage = StorageContext(storage_path=str(tmp_path / "trials"), experiment_dir_name="a", read_only=True)
    listed = json.loads(Path(storage.checkpoint_manager_snapshot_path).read_text())
    names = {one["checkpoint_dir_name"] for one in listed["checkpoint_results"]}
    assert names == {"epoch-2", "epoch-3"}
    assert {path.name for path in (tmp_path / "trials/a").iterdir() if path.is_dir()} == names
