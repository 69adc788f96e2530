"""The last step of a real sweep, killed in the middle and resumed."""

from __future__ import annotations

import json
import signal
import statistics
from pathlib import Path

import optuna
import pytest
from optuna.trial import FrozenTrial, TrialState

from fame.evaluation.ranks import RANKS, Ranks
from fame.training.fit import read_trained
from tests.tuning.sweeps import METRIC, TINY, Sweeps, wait_until
from tuning.study.reading import open_read_only
from tuning.study.trials import LOST, RAY_ID
from tuning.trial.checkpoints import Kept

pytestmark = pytest.mark.slow

TOP, SEEDS = 2, 2


def final_trials(sweeps: Sweeps) -> list[FrozenTrial]:
    path = sweeps.folder / "runs/f/final/study.log"
    if not path.exists():
        return []
    try:
        trials = optuna.load_study(study_name="f", storage=open_read_only(path)).get_trials()
    except KeyError:  # it is just being made
        return []
    return [trial for trial in trials if RAY_ID in trial.user_attrs and LOST not in trial.user_attrs]


def finished(sweeps: Sweeps) -> dict[str, FrozenTrial]:
    return {t.user_attrs[RAY_ID]: t for t in final_trials(sweeps) if t.state == TrialState.COMPLETE}


def test_a_killed_last_step_goes_on_and_chooses_by_the_mean(tmp_path: Path) -> None:
    sweeps = Sweeps(tmp_path / "f")
    command = (*TINY, "--trials", "3", "--epochs", "3", "--concurrent", "1", "--name", "f")
    command += ("--final-top", str(TOP), "--final-seeds", str(SEEDS))
    killed = sweeps.stop(sweeps.start(*command), signal.SIGKILL, lambda: finished(sweeps))
    assert killed.returncode == -signal.SIGKILL
    assert f"then the best {TOP} again with {SEEDS} other seeds each: {TOP * SEEDS} trainings" in killed.stdout
    wait_until(lambda: not sweeps.processes())
    before, trials = finished(sweeps), sweeps.study("f")
    assert 0 < len(before) < TOP * SEEDS

    done = sweeps.run("--resume", "--name", "f")
    assert done.returncode == 0 and done.stderr == "", done.stderr
    after = finished(sweeps)
    assert len(after) == len(final_trials(sweeps)) == TOP * SEEDS
    for id, trial in before.items():  # not trained again
        assert after[id].datetime_complete == trial.datetime_complete
    assert [t.number for t in sweeps.study("f")] == [t.number for t in trials]

    # MLflow has each training once, below the sweep, apart from the trials.
    client = sweeps.client()
    parent, children = sweeps.runs("f")
    assert len(children) == 3
    runs = client.search_runs([parent.info.experiment_id], "tags.kind = 'final'")
    # One that the kill met in the moment between its proposal and Tune's save is proposed again under another id.
    lost = [run for run in runs if run.data.tags["trial"] not in after]
    assert {run.data.tags["status"] for run in lost} <= {"interrupted"}
    kept = [run for run in runs if run not in lost]
    assert sorted(run.data.tags["trial"] for run in kept) == sorted(after)
    for run in kept:
        assert run.data.tags["mlflow.parentRunId"] == parent.info.run_id and run.data.tags["status"] == "finished"
        trial = after[run.data.tags["trial"]]
        assert [p.step for p in client.get_metric_history(run.info.run_id, METRIC)] == sorted(trial.intermediate_values)
        assert (
            int(run.data.params["seed"]) == trial.params["seed"] and f"seed {trial.params['seed']}" in run.info.run_name
        )

    # The configuration with the best mean is the one exported, with all of its seeds.
    metrics = json.loads((sweeps.folder / "runs/f/best/metrics.json").read_text())
    means = {}
    for trial in after.values():
        point = frozenset((key, value) for key, value in trial.params.items() if key != "seed")
        means.setdefault(point, []).append(trial.value)
    best = max(means, key=lambda point: statistics.fmean(means[point]))
    assert frozenset(metrics["final"][0]["params"].items()) == best
    assert sorted(metrics["final"][0]["values"]) == sorted(means[best])
    assert len(metrics["final"]) == TOP
    assert metrics["seeds"]["seeds"] == [1, 2] and metrics["seed"] in (1, 2)
    assert metrics["validation"]["ndcg@10"] == max(metrics["seeds"]["validation"]["ndcg@10"]["values"])
    assert list(Ranks.read(sweeps.folder / "runs/f/best" / RANKS).by_seed) == [1, 2]
    assert parent.data.metrics["test/ndcg_10_mean"] == metrics["seeds"]["test"]["ndcg@10"]["mean"]
    card = (sweeps.folder / "runs/f/best/README.md").read_text()
    assert all(f"| {one['trial']} |" in card for one in metrics["final"])

    # Each training is a checkpoint like a trial's.
    for id, trial in after.items():
        _, trained, _ = Kept(str(sweeps.folder / "runs/f/final/trials"), id).newest(read_trained)
        assert trained.experiment.seed == trial.params["seed"] and trained.history[-1].finished
