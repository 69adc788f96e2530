from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import cloudpickle

from tuning.driver import tune_files as staging
from tuning.driver.tune_files import StagingCallback


def test_only_the_sweeps_own_working_files_are_removed(tmp_path: Path) -> None:
    ours, theirs, later = tmp_path / "10:00" / "a", tmp_path / "10:00" / "b", tmp_path / "10:01" / "a"
    for folder in (ours, theirs, later):
        (folder / "driver_artifacts").mkdir(parents=True)
    callback = cloudpickle.loads(cloudpickle.dumps(StagingCallback()))  # as Tune does
    for folder in (ours, ours, later):
        storage = SimpleNamespace(experiment_driver_staging_path=str(folder / "driver_artifacts"))
        callback.on_trial_start(0, [], SimpleNamespace(storage=storage))
    staging.remove()
    assert theirs.exists() and not ours.exists() and not later.parent.exists()
    staging.remove()
    assert theirs.exists()
