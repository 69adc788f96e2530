"""Tune's searcher: states, faults, restoring, and the sweep's number of trials."""

from __future__ import annotations

import math
import os
import pickle
import sys
from pathlib import Path

import pytest
from optuna.trial import TrialState
from ray.tune.search import Searcher

from fame.errors import UserError
from tests.tuning.search import studies
from tests.tuning.search.studies import AIMS, METRIC, finish, make, quality, reached, run, stored_trial
from tuning.faults import Fault, end
from tuning.search.study_search import StudySearch
from tuning.study.aims import Limit
from tuning.study.overview import identity, trials_of
from tuning.study.trials import SweepTrial, ranked


def save(search: StudySearch, folder: Path, known: str) -> bytes:
    """Write Tune's files as they are when it knows the trials `known`, and return the pickled searcher."""
    (folder / "experiment_state-2026-01-01_00-00-00.json").write_text("an older session's")
    (folder / "experiment_state-2026-01-02_00-00-00.json").write_text(" ".join(f"trial-{name}" for name in known))
    search.save(str(folder / "searcher-state-2026.pkl"))
    return pickle.dumps(search)


def restore(pickled: bytes, folder: Path) -> StudySearch:
    search = pickle.loads(pickled)
    search.restore_from_dir(str(folder))
    return search


def test_states_are_as_they_were(tmp_path):
    search = make(tmp_path)
    for name in ("finished", "stopped", "failed", "diverged", "silent"):
        search.suggest(name)
    search.on_trial_result("finished", {"epoch": 1, METRIC: 0.04})
    last = {"epoch": 2, METRIC: 0.03, f"best_{METRIC}": 0.04, "finished": True}
    search.on_trial_result("finished", last)
    search.on_trial_complete("finished", {**last, "done": True})
    search.on_trial_result("stopped", {"epoch": 1, METRIC: 0.01, "finished": False})
    search.on_trial_complete("stopped", {"epoch": 2, METRIC: 0.02, f"best_{METRIC}": 0.02, "finished": False})
    search.on_trial_result("failed", {"epoch": 1, METRIC: 0.01})
    search.on_trial_complete("failed", error=True)
    search.on_trial_result("diverged", {"epoch": 1, METRIC: 0.01})
    search.on_trial_result("diverged", {METRIC: math.nan})
    search.on_trial_complete("diverged", {METRIC: math.nan})
    search.on_trial_complete("silent")

    def seen(name: str) -> tuple:
        return (
            stored_trial(search, name).state,
            stored_trial(search, name).value,
            stored_trial(search, name).intermediate_values,
        )

    assert seen("finished") == (TrialState.COMPLETE, 0.04, {1: 0.04, 2: 0.03})
    assert seen("stopped") == (TrialState.PRUNED, 0.02, {1: 0.01, 2: 0.02})
    assert seen("failed") == (TrialState.FAIL, None, {1: 0.01})
    assert seen("diverged") == (TrialState.FAIL, None, {1: 0.01})
    assert seen("silent") == (TrialState.PRUNED, None, {})
    assert search.study.best_value == 0.04


@pytest.mark.parametrize("kind", ["infeasible", "diverged", "failed", "hung", "lost"])
def test_a_fault_is_kept_with_its_reason_and_never_the_best(tmp_path, kind):
    search = make(tmp_path)
    search.suggest("a")
    search.on_trial_result("a", {"epoch": 1, METRIC: 0.9})
    fault = Fault(kind=kind, reason="why")
    search.on_trial_result("a", end(fault, 1, METRIC))
    search.on_trial_complete("a", end(fault, 1, METRIC))
    told = stored_trial(search, "a")
    assert told.state == (TrialState.PRUNED if kind == "infeasible" else TrialState.FAIL)
    assert Fault.of(told.user_attrs) == fault and told.intermediate_values == {1: 0.9}
    assert told.constraints == ({"memory": 1.0} if kind == "infeasible" else {})
    assert SweepTrial(told).value is None and not ranked(trials_of(search.study))


@pytest.mark.parametrize("value", [math.nan, math.inf, None])
def test_a_finished_trial_without_a_number_failed(tmp_path, value):
    search = make(tmp_path)
    search.suggest("a")
    search.on_trial_complete("a", {"epoch": 1, METRIC: value, f"best_{METRIC}": value, "finished": True})
    assert stored_trial(search, "a").state == TrialState.FAIL


def test_reports_without_the_metric_and_repeated_ones_are_tolerated(tmp_path):
    search = make(tmp_path)
    search.suggest("a")
    search.on_trial_result("a", {"epoch": 1, "loss": 3.0})
    search.on_trial_result("a", {METRIC: 0.01})
    search.on_trial_result("a", {"epoch": 2, METRIC: 0.02})
    search.on_trial_result("a", {"epoch": 2, METRIC: 0.02})
    search.on_trial_result("of another sweep", {"epoch": 2, METRIC: 0.02})
    assert stored_trial(search, "a").intermediate_values == {2: 0.02}


def test_there_are_no_more_trials_at_a_time_than_there_is_room_for(tmp_path):
    room = 2
    search = make(tmp_path, room=lambda: room)
    assert all(search.suggest(name) for name in "ab") and search.suggest("c") is None
    room = 3
    assert search.suggest("c") and search.suggest("d") is None
    room = 1  # a machine has left
    finish(search, "a", 0.1)
    finish(search, "b", 0.2)
    assert search.suggest("d") is None
    search.on_trial_complete("c", error=True)
    assert search.suggest("d")
    other = make(tmp_path / "other")
    wanted = [other.suggest(name) for name in "abcd"]
    assert [trial.params for trial in search.study.get_trials()][:3] == wanted[:3], "waiting changes no proposal"


def test_a_resumed_study_goes_on_as_the_unbroken_one(tmp_path):
    unbroken = run(make(tmp_path / "a"), 20)
    first = run(make(tmp_path / "b"), 12)
    reopened = pickle.loads(pickle.dumps(make(tmp_path / "b")))
    assert first + run(reopened, 8, first=12) == unbroken
    assert len(set(map(identity, unbroken))) == 20


def test_the_number_of_trials_is_kept(tmp_path):
    search = make(tmp_path, trials=4)
    assert len(run(search, 10)) == 4
    assert search.suggest("more") == Searcher.FINISHED


def test_killed_and_restored(tmp_path):
    """Tune's state, saved after b began, knows a and b; the study is ahead by c (running) and d (stopped)."""
    search = make(tmp_path)
    points = [search.suggest(f"trial-{name}") for name in "ab"]
    finish(search, "trial-a", 0.03)
    pickled = save(search, tmp_path, known="ab")
    points += [search.suggest(f"trial-{name}") for name in "cd"]
    search.on_trial_complete("trial-d", {"epoch": 1, METRIC: 0.01, "finished": False})
    finish(search, "trial-b", 0.04)  # told, but not saved by Tune

    restored = restore(pickled, tmp_path)
    assert stored_trial(restored, "trial-c").state == TrialState.FAIL
    assert stored_trial(restored, "trial-d").state == TrialState.PRUNED
    finish(restored, "trial-a", 0.99)
    finish(restored, "trial-b", 0.99)
    assert [stored_trial(restored, f"trial-{name}").value for name in "ab"] == [0.03, 0.04]
    assert restored.suggest("trial-e") == points[2]  # the lost trial's point, again
    assert restored.suggest("trial-f") not in points
    assert not [t for t in restored.study.trials if t.state == TrialState.WAITING]


def test_a_running_trial_goes_on_after_a_restore(tmp_path):
    search = make(tmp_path)
    search.suggest("trial-a")
    search.on_trial_result("trial-a", {"epoch": 1, METRIC: 0.01})
    restored = restore(save(search, tmp_path, known="a"), tmp_path)
    finish(restored, "trial-a", 0.02, epochs=3)
    assert stored_trial(restored, "trial-a").state == TrialState.COMPLETE
    assert stored_trial(restored, "trial-a").intermediate_values == {1: 0.01, 2: 0.02, 3: 0.02}


@pytest.mark.parametrize("cut_off", [0, 100])
def test_restored_with_a_copy_that_was_cut_off(tmp_path, cut_off):
    """A kill during Tune's upload does that; the study's own file is there."""
    search = make(tmp_path)
    search.suggest("trial-a")
    pickled = save(search, tmp_path, known="a")
    os.truncate(tmp_path / "searcher-state-2026.pkl", cut_off)
    assert stored_trial(restore(pickled, tmp_path), "trial-a").state == TrialState.RUNNING


def test_what_tune_keeps_of_the_search_does_not_grow_with_it(tmp_path):
    search = make(tmp_path)
    run(search, 10)
    pickled = save(search, tmp_path, known="")
    run(search, 20, first=10)
    assert len(save(search, tmp_path, known="")) == len(pickled)
    assert (tmp_path / "searcher-state-2026.pkl").stat().st_size == 0


@pytest.mark.parametrize("cut", range(0, 3200, 160))
def test_both_copies_of_the_study_are_cut_off(tmp_path, cut):
    """Wherever that is, the sweep starts again and proposes each start point once."""
    search = make(tmp_path)
    search.suggest("a")
    for file in search.path.parent.iterdir():
        file.write_bytes(file.read_bytes()[:cut])
    again = make(tmp_path)
    again.record.give_up(())
    points = [again.suggest(name) for name in "bc"]
    assert set(map(identity, points)) == set(map(identity, again.space.start))
    assert again.suggest("d") not in again.space.start
    finish(again, "b", 0.03)


def test_unusable_options(tmp_path):
    with pytest.raises(UserError, match=r"search.train.lr is continuous, which a grid cannot list"):
        make(tmp_path, sampler="grid")
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"cannot write the study .*: Not a directory; choose another --storage"):
        make(tmp_path / "file")


def trainable(config: dict) -> None:
    from ray import tune

    for epoch in range(1, 5):
        value = quality(config) * epoch
        if config["model.dropout"] == 0.2:
            value = math.nan
        if config["model.heads"] == 4:
            raise RuntimeError("as if out of memory")
        tune.report({"epoch": epoch, METRIC: value, f"best_{METRIC}": value, "finished": epoch == 4})


@pytest.mark.slow
def test_with_ray_tune_and_asha(tmp_path, tmp_path_factory, monkeypatch):
    import ray
    from ray import cloudpickle, tune
    from ray.tune.schedulers import ASHAScheduler

    monkeypatch.setenv("TUNE_GLOBAL_CHECKPOINT_S", "1")
    for module in (sys.modules[__name__], studies):
        cloudpickle.register_pickle_by_value(module)
    search = make(tmp_path, trials=12)
    ray.init(num_cpus=2, include_dashboard=False, logging_level="ERROR", _temp_dir=f"/tmp/r{os.getpid()}")
    try:
        results = tune.Tuner(
            tune.with_resources(trainable, {"CPU": 0.5}),
            tune_config=tune.TuneConfig(
                search_alg=search,
                scheduler=ASHAScheduler(time_attr="epoch", grace_period=1, reduction_factor=2, max_t=4),
                metric=METRIC,
                mode="max",
                num_samples=-1,
                max_concurrent_trials=2,
                reuse_actors=True,
            ),
            run_config=tune.RunConfig(name="sweep", storage_path=str(tmp_path), verbose=0),
        ).fit()
        restored = tune.Tuner.restore(str(tmp_path / "sweep"), trainable).fit()
    finally:
        ray.shutdown()
    assert len(results) == len(restored) == 12
    states = []
    for result in results:
        study_trial = stored_trial(search, result.metrics["trial_id"] if result.metrics else result.path.split("_")[-1])
        states.append(study_trial.state)
        if result.error or math.isnan(result.metrics[METRIC]):
            assert study_trial.state == TrialState.FAIL
        elif result.metrics["finished"]:
            assert study_trial.state == TrialState.COMPLETE
            assert study_trial.value == result.metrics[METRIC]
            assert sorted(study_trial.intermediate_values) == [1, 2, 3, 4]
        else:
            assert study_trial.state == TrialState.PRUNED
            assert max(study_trial.intermediate_values) == result.metrics["epoch"] < 4
    assert {TrialState.COMPLETE, TrialState.PRUNED} <= set(states)
    assert TrialState.RUNNING not in states


def test_the_other_aims_are_those_of_the_epoch_with_the_best_metric(tmp_path: Path) -> None:
    search = make(tmp_path, aims=AIMS)
    search.suggest("a")
    reached(search, "a", 1, 0.3, **{"coverage@10": 0.1})
    search = make(tmp_path, aims=AIMS)  # another driver after a kill
    search.on_trial_complete("a", reached(search, "a", 2, 0.2, **{"coverage@10": 0.9}))
    assert search.record.find("a").numbers == {"coverage@10": 0.1}


def test_a_trial_over_a_limit_has_no_value_and_a_violated_constraint(tmp_path: Path) -> None:
    limits = (Limit.parse("coverage@10 > 0.5"), Limit.parse("parameters < 100"))
    search = make(tmp_path, limits=limits)
    for name, coverage in {"over": 0.1, "kept": 0.6}.items():
        search.suggest(name)
        reached(search, name, 1, 0.1, **{"coverage@10": coverage, "parameters": 50})
        search.on_trial_complete(name, reached(search, name, 2, 0.2, **{"coverage@10": coverage}))
    search.suggest("large")
    fault = Fault(kind="limit", reason="parameters is 200; not parameters < 100")
    search.on_trial_complete("large", end(fault, 0, METRIC) | {"parameters": 200})
    over, kept, large = search.record.trials()
    assert [trial.value for trial in (over, kept, large)] == [None, 0.2, None]
    assert over.over_limit == "coverage@10 is 0.1000, not coverage@10 > 0.5"
    assert {trial.word for trial in (over, large)} == {"over a limit"}
    assert ranked(search.record.trials()) == [kept]
    assert large.stored.state == TrialState.PRUNED
    assert [max(trial.stored.constraints.values()) > 0 for trial in (over, kept, large)] == [True, False, True]
