"""One view of a trial: its state, its word, and the value of the model's own epochs."""

from __future__ import annotations

import pytest

from tests.tuning.search.studies import METRIC, make
from tuning.faults import Fault, end
from tuning.study.trials import SweepTrial, Varied, ranked, run_name, total_uses


def report(epoch: int, value: float, stage: str, **more: object) -> dict:
    return {"epoch": epoch, METRIC: value, f"best_{METRIC}": value, "stage": stage, **more}


def view(search, trial_id: str) -> SweepTrial:
    found = search.record.find(trial_id)
    assert found is not None
    return found


def test_the_value_of_a_stopped_trial_is_that_of_its_model_not_of_its_backbone(tmp_path):
    search = make(tmp_path)
    for name in ("stopped", "finished", "backbone"):
        search.suggest(name)
    search.on_trial_result("stopped", report(1, 0.4123, "backbone"))
    search.on_trial_complete("stopped", report(2, 0.3928, "fame"))
    search.on_trial_result("finished", report(1, 0.41, "backbone"))
    search.on_trial_complete("finished", report(2, 0.3966, "fame", finished=True))
    search.on_trial_complete("backbone", report(1, 0.5, "backbone"))
    stopped, finished, backbone = (view(search, name) for name in ("stopped", "finished", "backbone"))
    assert (stopped.value, stopped.best_epoch, stopped.curve) == (0.3928, 2, {1: 0.4123, 2: 0.3928})
    assert (finished.value, finished.best_epoch) == (0.3966, 2)
    assert (backbone.value, backbone.best_epoch, backbone.epoch) == (None, None, 1)
    assert [trial.id for trial in ranked(search.record.trials())] == ["finished", "stopped"]


def test_a_restarted_trial_that_repeats_its_backbone_keeps_its_first_own_epoch(tmp_path):
    search = make(tmp_path)
    search.suggest("a")
    for epoch, stage in [(1, "backbone"), (2, "backbone"), (3, "fame"), (1, "backbone"), (2, "backbone"), (3, "fame")]:
        search.on_trial_result("a", report(epoch, 0.1 * epoch, stage))
    assert list(view(search, "a").own_curve) == [3]


def test_a_trial_without_a_backbone_counts_from_its_first_epoch(tmp_path):
    search = make(tmp_path)
    search.suggest("a")
    search.on_trial_result("a", report(1, 0.3, "fame"))
    search.on_trial_result("a", report(2, 0.2, "fame"))
    trial = view(search, "a")
    assert (trial.value, trial.best_epoch, trial.epoch, trial.state, trial.word) == (0.3, 1, 2, "running", "running")


@pytest.mark.parametrize("kind", ["infeasible", "failed"])
def test_a_trial_that_went_wrong_has_no_value_and_says_the_kind_of_its_fault(tmp_path, kind):
    search = make(tmp_path)
    search.suggest("a")
    search.on_trial_result("a", report(1, 0.9, "fame"))
    search.on_trial_complete("a", end(Fault(kind=kind, reason="why"), 1, METRIC))
    trial = view(search, "a")
    assert (trial.state, trial.word, trial.value, trial.ended) == ("failed", kind, None, True)


def test_a_trial_that_tune_does_not_know_is_lost_and_no_trial_of_the_sweep(tmp_path):
    search = make(tmp_path)
    search.suggest("a")
    search.record.give_up(())
    assert view(search, "a").state == "lost" and not view(search, "a").ended
    assert search.record.trials() == [] and search.record.ids() == {"a"}


def test_uses_of_stages_add_up_over_trials(tmp_path):
    search = make(tmp_path)
    for name, shared in {"a": 0.0, "b": 1.0}.items():
        search.suggest(name)
        uses = {"stage_backbone_computed": 1 - shared, "stage_backbone_shared": shared}
        search.on_trial_result(name, report(1, 0.1, "fame", **uses))
    (backbone,) = total_uses(search.record.trials()).values()
    assert (backbone.computed, backbone.shared) == (1, 1)


def test_a_name_shows_the_papers_letters_or_the_id():
    assert run_name({"model.heads": 2, "model.experts": 4, "train.lr": 0.1}, "a") == "H2 N4"
    assert run_name({"train.lr": 0.1}, "a") == "a"


def test_a_setting_says_what_distinguishes_a_trial():
    varied = Varied()
    for point in (points := [{"model.heads": 2, "train.lr": 0.001}, {"model.heads": 2, "train.lr": 0.01}]):
        varied.learn(point)
    assert [varied.setting(point) for point in points] == ["lr 0.001", "lr 0.01"]
    (alone := Varied()).learn(points[0])
    assert alone.setting(points[0]) == "H2"
