"""Tune's working files on the driver's machine. Tune copies them to storage and leaves them behind.

They lie in Ray's session. A cluster's session outlives the sweep, so the sweep removes its files there.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from ray.tune import Callback
from ray.tune.experiment import Trial

_folders: set[Path] = set()
"""Folders of this process. The callback cannot hold them: Tune pickles and replaces it."""


class StagingCallback(Callback):
    """Notes the folders that Tune uses."""

    def on_trial_start(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        assert trial.storage is not None
        _folders.add(Path(trial.storage.experiment_driver_staging_path).parent)


def remove() -> None:
    """Remove the folders once Tune has ended, and the folder around them if no other sweep uses it."""
    while _folders:
        folder = _folders.pop()
        shutil.rmtree(folder, ignore_errors=True)
        if folder.parent.is_dir() and not any(folder.parent.iterdir()):
            shutil.rmtree(folder.parent, ignore_errors=True)
