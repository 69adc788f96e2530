"""Trials of a sweep that share a backbone, step by step, as Tune drives them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from fame.training.loop import StageRun
from tests.tuning.trial.steps import actor, configured, stable, steps
from tuning.study.stage_uses import from_metrics, to_metrics
from tuning.trial.checkpoints import Checkpoints, read_trial
from tuning.trial.plan import TrialPlan
from tuning.trial.slot import Slot

pytestmark = pytest.mark.filterwarnings("ignore:The `(json|parse_obj)` method:DeprecationWarning")  # of Ray Train

POINT = {"model.name": "fame", "backbone.epochs": 2, "train.epochs": 1}


@pytest.fixture
def plan(make_plan: Callable[..., TrialPlan], tmp_path: Path) -> TrialPlan:
    return make_plan(stages=str(tmp_path / "stages"))


def without_uses(result: dict) -> dict:
    return {key: value for key, value in stable(result).items() if key not in to_metrics(from_metrics(result))}


def test_a_trial_that_takes_over_reports_every_epoch_once_and_keeps_each_state_once(
    plan: TrialPlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept, add = [], Checkpoints.add
    monkeypatch.setattr(
        Checkpoints,
        "add",
        lambda self, state, metrics, name=None: (kept.append(metrics["epoch"]), add(self, state, metrics, name)),
    )
    first = steps(actor(plan, "a", POINT))
    second = steps(actor(plan, "b", POINT))
    assert [result["epoch"] for result in second] == [1, 2, 3]
    assert [*map(without_uses, first)] == [*map(without_uses, second)]
    assert kept == [1, 2, 3, 1, 3]
    assert ["stage_backbone_shared" in result for result in first] == [False, True, True]
    assert [result["stage_backbone_shared"] for result in second] == [1, 1, 1]
    assert first[-1]["stage_backbone_computed"] == 1 and first[-1]["stage_backbone_seconds_saved"] == 0
    assert second[0]["stage_backbone_seconds_saved"] == second[-1]["stage_backbone_seconds_saved"] > 0


def test_a_trial_killed_after_any_report_goes_on_and_still_tells_what_it_shared(plan: TrialPlan) -> None:
    whole = steps(actor(plan, "a", POINT))
    for stopped_after in (1, 2):
        name = f"killed after {stopped_after}"
        killed = actor(plan, name, POINT)
        for _ in range(stopped_after):
            killed.step()
        again = steps(actor(plan, name, POINT))
        assert [*map(without_uses, again)] == [*map(without_uses, whole)]
        assert all(result["stage_backbone_shared"] == 1 for result in again)


def test_a_trial_stopped_in_its_backbone_leaves_it_to_the_next_one_in_the_process(
    plan: TrialPlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    names, epochs = [], StageRun.epochs
    monkeypatch.setattr(
        StageRun, "epochs", lambda run, *a, **k: (names.append(run.stage.name), epochs(run, *a, **k))[1]
    )
    trial: Slot = actor(plan, "a", POINT)
    trial.step()
    assert trial.reset(configured("b", POINT | {"model.experts": 2}))
    assert [result["epoch"] for result in steps(trial)] == [1, 2, 3]
    assert trial.reset(configured("c", POINT | {"train.lr": 2e-3}))
    assert [result["epoch"] for result in steps(trial)] == [1, 2, 3]
    assert names == ["backbone", "backbone", "fame", "fame"]
    assert read_trial(plan.folder, "c").reached_model
    trial.stop()


def test_a_trial_that_waits_reports_nothing_until_it_has_all(plan: TrialPlan) -> None:
    owner, waiting, results = actor(plan, "a", POINT), actor(plan, "b", POINT | {"model.experts": 2}), []
    owner.step()  # its backbone has begun
    thread = threading.Thread(target=lambda: results.extend(steps(waiting)))
    thread.start()
    thread.join(timeout=1.0)
    assert thread.is_alive() and not results
    assert [result["epoch"] for result in steps(owner)] == [2, 3]
    thread.join(timeout=60.0)
    assert [result["epoch"] for result in results] == [1, 2, 3]
    assert [result["stage_backbone_shared"] for result in results] == [1, 1, 1]
    assert results[0]["stage_backbone_seconds_waited"] > 0.5
