"""A slot step by step, as Tune drives it: one trial, another one after it, one again after a crash."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.tuning.trial.steps import LARGE, SMALL, actor, alone, configured, stable, steps
from tuning.trial import slot
from tuning.trial.checkpoints import read_trial
from tuning.trial.plan import TrialPlan
from tuning.trial.restart import NOTE, Restart
from tuning.trial.slot import ENDED

pytestmark = pytest.mark.filterwarnings("ignore:The `(json|parse_obj)` method:DeprecationWarning")  # of Ray Train


def test_checkpoints_are_where_the_export_looks(make_plan: Callable[..., TrialPlan]) -> None:
    plan = make_plan()
    trial = actor(plan, "a", SMALL)
    assert read_trial(plan.folder, "a") is None
    for epoch in (1, 2):
        result = trial.step()
        trained = read_trial(plan.folder, "a")
        assert trained.reached_model and trained.experiment.train.lr == SMALL["train.lr"]
        assert [report.epoch for report in trained.history] == list(range(1, epoch + 1))
        assert trained.history[-1].best == result["best_ndcg@10"]
    assert len(list(Path(plan.folder, "a").glob("checkpoint_2*"))) == 2


def test_a_trial_whose_process_died_goes_on_from_its_checkpoint(
    make_plan: Callable[..., TrialPlan], tmp_path: Path
) -> None:
    plan = make_plan()
    whole = alone(plan, SMALL, tmp_path / "whole")
    first = actor(plan, "a", SMALL).step()
    again = actor(plan, "a", SMALL)
    repeated = again.step()  # Tune may not have heard of it
    assert repeated == first
    assert [stable(repeated), *steps(again)] == whole
    ended = actor(plan, "a", SMALL)
    assert steps(ended) == whole and ended.step() == ENDED


def test_a_trial_of_which_all_epochs_are_known_reports_the_last_one_again(
    make_plan: Callable[..., TrialPlan], tmp_path: Path
) -> None:
    """Tune, which may have lost all its results, takes no end without one."""
    plan = make_plan()
    whole = alone(plan, SMALL, tmp_path / "whole")
    steps(actor(plan, "a", SMALL))
    again = actor(plan, "a", {**SMALL, NOTE: dataclasses.asdict(Restart(seen=len(whole)))})
    assert steps(again) == whole[-1:] and again.step() == ENDED
    partly = actor(plan, "a", {**SMALL, NOTE: dataclasses.asdict(Restart(seen=1))})
    assert steps(partly) == whole[1:]


def test_a_paused_trial_reports_only_what_is_new_and_takes_over_another_state(
    make_plan: Callable[..., TrialPlan],
) -> None:
    plan = make_plan(interval=1)
    good = actor(plan, "good", SMALL)
    bad = actor(plan, "bad", {"train.lr": 1e-2})
    first, _ = good.step(), bad.step()
    assert bad.save_checkpoint("unused") == {}
    note = {NOTE: dataclasses.asdict(Restart(seen=1, generation=1, origin="good/epoch-1-0"))}
    assert bad.reset(configured("bad", {"train.lr": 2e-3, **note}))
    bad.load_checkpoint({})
    assert [result["epoch"] for result in steps(bad)] == [2, 3]
    trained = read_trial(plan.folder, "bad")
    assert trained.history[0].train_seconds == first["train_seconds"]
    assert [change.origin for change in trained.changes] == ["good/epoch-1-0"]
    assert Path(plan.folder, "bad", "epoch-2-1").is_dir() and Path(plan.folder, "bad", "epoch-1-0").is_dir()


def test_storage_that_does_not_answer_fails_a_step_not_the_reset(
    make_plan: Callable[..., TrialPlan], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tune starts a trial again that failed in a step, and gives up one whose process could not be reset."""
    trial = actor(make_plan(), "a", SMALL)
    assert trial.step()["epoch"] == 1

    def away(*args: object) -> None:
        raise OSError("When reading: AWS Error NETWORK_CONNECTION during HeadObject operation")

    monkeypatch.setattr(slot, "mend", away)
    assert trial.reset(configured("b", LARGE))
    with pytest.raises(OSError, match="AWS Error"):
        trial.step()
    trial.cleanup()


def test_a_trial_that_is_over_reports_why_and_trains_nothing(make_plan: Callable[..., TrialPlan]) -> None:
    fault = "hung: no step for 60 s"
    note = {NOTE: dataclasses.asdict(Restart(seen=3, fault=fault))}
    (end,) = steps(actor(make_plan(), "a", {**SMALL, **note}))
    assert end["fault"] == fault and end["epoch"] == 3 and math.isnan(end["ndcg@10"])
