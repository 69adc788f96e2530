"""An extended sweep: which trials go on, under which id, and what a new ASHA knows of them."""

from __future__ import annotations

import pytest
from ray.tune.schedulers import ASHAScheduler, TrialScheduler

from tests.tuning.search.studies import METRIC, make
from tuning.faults import FAULT
from tuning.schedulers.again import better_part, replay
from tuning.study.overview import trials_of
from tuning.study.trials import without_progress


def train(search, trial_id: str, values: list[float], finished: bool) -> None:
    search.suggest(trial_id)
    for epoch, value in enumerate(values, start=1):
        last = epoch == len(values)
        result = {"epoch": epoch, METRIC: value, f"best_{METRIC}": max(values[:epoch]), "finished": finished and last}
        (search.on_trial_complete if last else search.on_trial_result)(trial_id, result)


@pytest.fixture
def search(tmp_path):
    search = make(tmp_path)
    train(search, "good", [0.1, 0.3, 0.5], finished=True)
    train(search, "early", [0.2], finished=False)
    train(search, "low", [0.05], finished=False)
    search.suggest("broken")
    search.on_trial_complete("broken", {"epoch": 1, METRIC: 0.9, FAULT: "failed: why"})
    return search


def test_those_go_on_that_are_now_in_the_better_half_at_their_last_epoch(search):
    assert [trial.id for trial in better_part(search.record.trials())] == ["good", "early"]


def test_a_trial_goes_on_under_its_id_with_its_epochs_and_takes_no_new_place(search, tmp_path):
    proposed, seen = search.record.overview.proposed, []
    search.going_on = lambda point, epoch: seen.append(epoch) or dict(point)
    (early,) = [trial for trial in search.record.trials() if trial.id == "early"]
    search.go_on([early])
    assert search.next_id() == "early" and search.record.overview.proposed == proposed
    assert search.suggest("early") == early.point and seen == [1] and search.next_id() is None
    search.on_trial_complete("early", {"epoch": 2, METRIC: 0.7, f"best_{METRIC}": 0.7, "finished": True})
    trials = {trial.id: trial for trial in trials_of(make(tmp_path).study)}
    assert list(trials) == ["good", "early", "low", "broken"]
    assert (trials["early"].state, trials["early"].value, trials["early"].curve) == ("finished", 0.7, {1: 0.2, 2: 0.7})


def test_after_a_kill_a_trial_that_goes_on_waits_again_and_one_without_an_epoch_is_queued(search, tmp_path):
    (early,) = [trial for trial in search.record.trials() if trial.id == "early"]
    search.go_on([early])
    search.suggest("early")
    point = search.suggest("new")
    again = make(tmp_path)
    again.go_on(known=["good"])
    assert again.waiting == ["early"] and again.suggest("early") == early.point
    assert again.suggest("other") == point


def test_a_new_asha_compares_with_the_trials_that_were_there(search):
    def decision(known: bool) -> str:
        scheduler = ASHAScheduler("epoch", f"best_{METRIC}", "max", max_t=10, grace_period=1, reduction_factor=2)
        if known:
            replay(scheduler, search.record.trials(), f"best_{METRIC}")
        scheduler.on_trial_add(None, early)
        return scheduler.on_trial_result(None, early, {"epoch": 2, f"best_{METRIC}": 0.1})

    (early,) = [trial for trial in search.record.trials() if trial.id == "early"]
    early = type("Trial", (), {"trial_id": "new"})
    assert decision(known=False) == TrialScheduler.CONTINUE and decision(known=True) == TrialScheduler.STOP


def test_trials_after_the_best_are_counted_and_end_the_search(search, tmp_path):
    assert without_progress(search.record.trials()) == 2
    assert not make(tmp_path, stop_after=3).stagnates and make(tmp_path, stop_after=2).stagnates
    assert make(tmp_path, stop_after=2).suggest("more") == "FINISHED"
