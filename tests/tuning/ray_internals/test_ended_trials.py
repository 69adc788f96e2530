"""Tests of the assumptions of `tuning.ray_internals.ended_trials` about Ray."""

from __future__ import annotations

from pathlib import Path

import pytest
from ray.train._internal.session import _TrainingResult
from ray.tune import Checkpoint
from ray.tune.experiment import Trial

from tuning.ray_internals.ended_trials import EndedTrials


@pytest.mark.parametrize("how", ["on_trial_complete", "on_trial_error"])
def test_of_a_trial_that_has_ended_tune_keeps_the_last_report(tmp_path: Path, how: str) -> None:
    trial = Trial("mine", stub=True)
    for epoch in (1, 2):
        trial.update_last_result({"epoch": epoch, "loss": 1.0 / epoch, "config": {"lr": 0.1}})
    saved = _TrainingResult(Checkpoint(str(tmp_path)), trial.last_result)
    trial.run_metadata.checkpoint_manager.register_checkpoint(saved)
    whole = trial.run_metadata.get_json_state()
    assert trial.metric_analysis["loss"]["min"] == 0.5
    getattr(EndedTrials(), how)(1, [trial], trial)
    state = trial.run_metadata.get_json_state()
    assert "0.5" in whole and "0.5" not in state.replace('"loss": 0.5', "") and trial.last_result["epoch"] == 2
    again = Trial("mine", stub=True)
    again.restore_run_metadata(state)
    assert again.last_result == trial.last_result == {"epoch": 2, "loss": 0.5, "trial_id": trial.trial_id}
    assert again.metric_analysis == {} and again.checkpoint is None
