"""Tests of the assumptions of `tuning.ray_internals.result_table` about Ray."""

from __future__ import annotations

from pathlib import Path

import pytest
from ray.train._internal.storage import StorageContext
from ray.tune import ExperimentAnalysis, ResultGrid
from ray.tune.experiment import Trial

from tuning.ray_internals.result_table import read_no_results

AS_TUNE_DOES = ExperimentAnalysis._fetch_trial_dataframes
"""Taken before a sweep of another test in this process patches it."""


@pytest.fixture
def trial(tmp_path: Path) -> Trial:
    """One that has reported twice, in the folder of its run."""
    storage = StorageContext(str(tmp_path), experiment_dir_name="run", trial_dir_name="mine")
    trial = Trial("mine", stub=True, storage=storage)
    trial.update_last_result({"epoch": 2, "loss": 0.5})
    folder = tmp_path / "run" / "mine"
    folder.mkdir(parents=True)
    (folder / "result.json").write_text('{"epoch": 1, "loss": 1.0}\n{"epoch": 2, "loss": 0.5}\n')
    (tmp_path / "run" / "experiment_state-2026-11-30_10-00-00.json").touch()
    return trial


def table(trial: Trial, run: Path) -> tuple[ExperimentAnalysis, ResultGrid]:
    analysis = ExperimentAnalysis(str(run), trials=[trial])
    return analysis, ResultGrid(analysis)


def test_tune_would_read_every_result_again_and_does_not(
    trial: Trial, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ExperimentAnalysis, "_fetch_trial_dataframes", AS_TUNE_DOES)
    analysis, _ = table(trial, tmp_path / "run")
    assert list(analysis.trial_dataframes[trial.trial_id]["epoch"]) == [1, 2]
    read_no_results()
    analysis, grid = table(trial, tmp_path / "run")
    assert analysis.trial_dataframes == {} and analysis.trials == [trial]
    assert grid[0].metrics == trial.last_result and grid[0].error is None
