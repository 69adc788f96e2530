"""The state that a killed sweep needs besides Tune's own, without Ray's processes."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import cloudpickle
import pytest
from optuna.trial import TrialState
from ray.tune.experiment import Trial
from ray.tune.schedulers import ASHAScheduler, FIFOScheduler

from tests.tuning.search.studies import METRIC, finish, make
from tuning.driver import restoring
from tuning.driver.restoring import CatchUp, NotRestoredError, RestoreCheck, SchedulerMemory, StoppedBefore
from tuning.study.trials import RAY_ID


def test_asha_comes_back_with_its_rungs() -> None:
    def asha() -> ASHAScheduler:
        return ASHAScheduler(time_attr="epoch", metric=METRIC, mode="max", max_t=9, grace_period=1, reduction_factor=2)

    def report(scheduler: ASHAScheduler, trial_id: str, value: float) -> str:
        trial = SimpleNamespace(trial_id=trial_id)
        scheduler.on_trial_add(None, trial)
        return scheduler.on_trial_result(None, trial, {"epoch": 1, METRIC: value})

    before, fresh = asha(), asha()
    for number in range(4):
        report(before, f"t{number}", 0.5)
    state = SchedulerMemory(before).get_state()
    # Tune pickles the callback and the scheduler together, so that they stay one pair.
    memory, restored = cloudpickle.loads(cloudpickle.dumps((SchedulerMemory(fresh), fresh)))
    memory.set_state(state)
    assert report(restored, "bad", 0.1) == ASHAScheduler.STOP
    assert report(fresh, "bad", 0.1) == ASHAScheduler.CONTINUE


def test_a_scheduler_that_cannot_be_saved_is_left_alone() -> None:
    assert SchedulerMemory(FIFOScheduler()).get_state() is None


def test_a_restored_sweep_without_trials_is_not_restored() -> None:
    RestoreCheck().on_step_begin(0, [SimpleNamespace()])
    with pytest.raises(NotRestoredError):
        RestoreCheck().on_step_begin(0, [])


def test_only_trials_that_the_study_has_as_stopped_are_stopped(tmp_path: Path) -> None:
    search = make(tmp_path)
    for trial_id in ("stopped", "running"):
        search.suggest(trial_id)
        search.on_trial_result(trial_id, {"epoch": 1, METRIC: 0.1})
    search.on_trial_complete("stopped", {"epoch": 2, METRIC: 0.1})
    stopper, copy = StoppedBefore(search), cloudpickle.loads(cloudpickle.dumps(StoppedBefore(search)))
    for stops in (stopper, copy):
        assert [stops("stopped", {"epoch": epoch}) for epoch in (1, 2, 3)] == [False, True, True]
        assert not stops("running", {"epoch": 1}) and not stops("unknown", {"epoch": 1}) and not stops.stop_all()


def test_the_study_learns_what_only_tune_knows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A trial that ended while the study could not be written, and two of which it has lost every line."""
    search = make(tmp_path)
    points = {name: search.suggest(name) for name in ("told", "ended")}
    finish(search, "told", 0.03)
    start = search.space.start[1]
    lost = {"lost": {**points["told"], "train.lr": 0.002}, "running": {**points["told"], "train.lr": 0.003}}

    def tune_trial(name: str, point: dict, status: str, best: float) -> Trial:
        result = {"epoch": 2, METRIC: best, f"best_{METRIC}": best, "finished": True}
        over = status == Trial.TERMINATED
        return SimpleNamespace(trial_id=name, config=point, status=status, last_result=result, is_finished=lambda: over)

    trials = [
        tune_trial("told", points["told"], Trial.TERMINATED, 0.99),
        tune_trial("ended", points["ended"], Trial.TERMINATED, 0.05),
        tune_trial("lost", lost["lost"], Trial.TERMINATED, 0.06),
        tune_trial("running", lost["running"], Trial.RUNNING, 0.07),
    ]
    history = [SimpleNamespace(epoch=epoch, stage="fame", validation={METRIC: epoch / 100}) for epoch in (1, 2)]
    monkeypatch.setattr(restoring, "read_trial", lambda folder, name: SimpleNamespace(history=history))
    catch_up = CatchUp(search, "trials")
    catch_up.on_step_begin(0, trials)
    catch_up.on_step_begin(1, trials)
    found = {trial.user_attrs[RAY_ID]: trial for trial in search.study.trials if RAY_ID in trial.user_attrs}
    assert {name: (trial.state, trial.value) for name, trial in found.items()} == {
        "told": (TrialState.COMPLETE, 0.03),
        "ended": (TrialState.COMPLETE, 0.05),
        "lost": (TrialState.COMPLETE, 0.06),
        "running": (TrialState.RUNNING, None),
    }
    assert found["lost"].params == lost["lost"] and found["lost"].intermediate_values == {1: 0.01, 2: 0.02}
    assert found["ended"].params == start
    finish(search, "running", 0.08)
    assert search.study.best_trial.params == lost["running"]


def test_a_start_point_that_only_tune_knows_is_not_proposed_again(tmp_path: Path) -> None:
    search = make(tmp_path)
    search.record.adopt("first", search.space.start[0])
    assert search.suggest("second") == search.space.start[1]
    assert search.suggest("third") not in search.space.start
