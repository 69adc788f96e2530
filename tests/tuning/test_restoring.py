"""What a sweep that was killed needs besides Tune's own state, without Ray's processes."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import cloudpickle
import pytest
from ray.tune.schedulers import ASHAScheduler, FIFOScheduler

from tests.tuning.test_search import METRIC, make
from tuning.restoring import NotRestoredError, RestoreCheck, SchedulerMemory, StoppedBefore


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
