"""Schedulers that pause trials, on real Ray: paused trials go on, taken-over states are the right ones."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from optuna.trial import TrialState

from fame.training.fit import CHECKPOINT, Trained, read_trained
from tests.tuning.sweeps import TINY, Sweeps, assert_agree
from tuning.study.trials import RAY_ID

pytestmark = pytest.mark.slow


def results(sweeps: Sweeps, name: str, trial_id: str) -> list[dict]:
    """The results that Tune got from a trial."""
    (path,) = (sweeps.folder / "runs" / name / "tune" / name).glob(f"*_{trial_id}_*/result.json")
    return [json.loads(line) for line in path.read_text().splitlines()]


def trained(sweeps: Sweeps, name: str, trial_id: str) -> Trained:
    """The trial's newest state."""
    files = (sweeps.folder / "runs" / name / "trials" / trial_id).glob(f"*/{CHECKPOINT}")
    return read_trained(max(files, key=lambda file: file.stat().st_mtime).parent)


def test_hyperband_pauses_stops_and_resumes(tmp_path: Path) -> None:
    sweeps = Sweeps(tmp_path)
    options = ("--scheduler", "hyperband", "--trials", "2", "--epochs", "2")
    done = sweeps.run(*TINY, *options, "--name", "halved")
    assert done.returncode == 0 and done.stderr == "", done.stderr
    assert_agree(sweeps, "halved")
    trials = {trial.state: trial for trial in sweeps.study("halved")}
    assert trials.keys() == {TrialState.PRUNED, TrialState.COMPLETE}
    assert list(trials[TrialState.PRUNED].intermediate_values) == [1]
    trial_id = trials[TrialState.COMPLETE].user_attrs[RAY_ID]
    reported = results(sweeps, "halved", trial_id)
    assert [result["epoch"] for result in reported] == [1, 2]
    # The first epoch was trained once, though what trained it is gone.
    assert trained(sweeps, "halved", trial_id).history[0].train_seconds == reported[0]["train_seconds"]


def test_a_population_takes_over_the_state_of_its_best(tmp_path: Path) -> None:
    sweeps = Sweeps(tmp_path)
    options = ("--scheduler", "pbt", "--trials", "4", "--epochs", "2")
    done = sweeps.run(*TINY, *options, "--name", "population")
    assert done.returncode == 0 and done.stderr == "", done.stderr
    assert_agree(sweeps, "population")
    trials = {trial.user_attrs[RAY_ID]: trial for trial in sweeps.study("population")}
    assert {trial.state for trial in trials.values()} == {TrialState.COMPLETE}
    states = {trial_id: trained(sweeps, "population", trial_id) for trial_id in trials}
    copied = {trial_id: state for trial_id, state in states.items() if state.changes}
    assert len(copied) == 1
    first = {trial_id: trial.intermediate_values[1] for trial_id, trial in trials.items()}
    ((trial_id, state),) = copied.items()
    (change,) = state.changes
    origin = change.origin.split("/")[0]
    assert (min(first, key=first.get), max(first, key=first.get)) == (trial_id, origin)
    # Epoch 1 is the good trial's, epoch 2 its own; Tune, Optuna and MLflow have what the trial did itself.
    assert change.epoch == 1
    assert state.history[0] == states[origin].history[0]
    assert state.history[1] != states[origin].history[1]
    assert [result["epoch"] for result in results(sweeps, "population", trial_id)] == [1, 2]
    assert trials[trial_id].intermediate_values[2] == state.history[1].validation["ndcg@10"]
    # Structure comes from the good trial; what varies is noted in MLflow beside the first settings.
    assert state.experiment.model.heads == trials[origin].params["model.heads"]
    _, runs = sweeps.runs("population")
    tags = runs[trial_id].data.tags
    assert float(tags.get("now.train.lr", trials[trial_id].params["train.lr"])) == state.experiment.train.lr
    assert not [key for run in runs.values() for key in run.data.params if "restart" in key]
    for key, (before, now) in change.settings.items():
        section, name = key.split(".")
        assert getattr(getattr(state.experiment, section), name) == now
        assert trials[origin].params[key] == before
    exported = json.loads((sweeps.folder / "runs/population/best/metrics.json").read_text())
    assert ("changes" in exported) == bool(states[exported["trial"]].changes)
