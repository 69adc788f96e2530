"""Tune's working files on the driver's machine, which it copies to storage and leaves behind.

They lie in the session of Ray. That of a cluster lives on after the sweep; so what is ours there is removed.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from ray.tune import Callback
from ray.tune.experiment import Trial

_folders: set[Path] = set()
"""Those of this process. Not in the callback, which Tune pickles and replaces."""


class StagingCallback(Callback):
    """Notes where Tune keeps them."""

    def on_trial_start(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        _folders.add(Path(trial.storage.experiment_driver_staging_path).parent)


def remove() -> None:
    """Remove them, once Tune has ended; also the folder by time around them, if no other sweep is in it."""
    while _folders:
        folder = _folders.pop()
        shutil.rmtree(folder, ignore_errors=True)
        if folder.parent.is_dir() and not any(folder.parent.iterdir()):
            shutil.rmtree(folder.parent, ignore_errors=True)
