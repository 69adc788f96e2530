"""The lines that the callback prints for Tune's events."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import optuna
import pytest
from optuna.distributions import FloatDistribution
from optuna.trial import TrialState, create_trial

from tuning.faults import FAULT, Fault
from tuning.study.trials import RAY_ID
from tuning.terminal.progress import ProgressCallback
from tuning.terminal.view import NORMAL, QUIET, VERBOSE, shown, view


class Record:
    """Trials have no limits here. Their backbones ended after two epochs, by their patience."""

    def find(self, id: str) -> SimpleNamespace:
        return SimpleNamespace(broken=[], epochs_before=2 if id == "deep" else 0)


class Search:
    """As much of `StudySearch` as the callback asks for."""

    metric = "ndcg@10"

    def __init__(self) -> None:
        self.study = optuna.create_study(direction="maximize")
        self.record = Record()

    def add(self, id: str, state: TrialState, value: float | None) -> None:
        trial = create_trial(
            state=state,
            value=value if state == TrialState.COMPLETE else None,
            params={"lr": 0.1},
            distributions={"lr": FloatDistribution(0, 1)},
            user_attrs={RAY_ID: id},
            intermediate_values={} if value is None else {1: value},
        )
        self.study.add_trial(trial)


def most(point: Mapping[str, Any]) -> tuple[int, int]:
    return point.get("backbone.epochs", 0), 10


def trial(id: str, status: str = "RUNNING", **result: Any) -> SimpleNamespace:
    config = {"model.heads": 2, "model.experts": 4}
    return SimpleNamespace(trial_id=id, status=status, last_result=result, config=config)


@pytest.fixture
def search() -> Search:
    return Search()


def test_a_trial_that_ends_is_a_line_with_the_best_and_the_time_left(search, capsys):
    callback = ProgressCallback(search, 4, most)
    with shown(NORMAL):
        callback.setup()
        one, two = trial("a", epoch=10, finished=True, **{"best_ndcg@10": 0.25}), trial("b", epoch=5)
        for each in (one, two):
            callback.on_trial_start(1, [one, two], each)
        callback.on_trial_result(1, [one, two], two, {"epoch": 5, "best_ndcg@10": 0.125})
        (_, row_b) = view().state.rows
        assert (row_b.trial, row_b.setting, row_b.reached, row_b.share, row_b.best) == (
            "b",
            "H2 N4",
            "5/10",
            0.5,
            0.125,
        )
        search.add("a", TrialState.COMPLETE, 0.25)
        callback.on_trial_complete(2, [one, two], one)
        assert [row.trial for row in view().state.rows] == ["b"]
    out = capsys.readouterr().out
    assert out.startswith("[00:00] 1/4 a (H2 N4) finished at epoch 10/10 0.2500  best 0.2500 (a)  about ")
    assert out.count("\n") == 1


def test_a_trial_that_ends_is_named_by_what_differs(search, capsys):
    """Also where neither heads nor experts nor width are searched."""
    callback = ProgressCallback(search, 4, most)
    one, two = trial("a", epoch=10, finished=True), trial("b", epoch=5)
    one.config, two.config = {"train.lr": 0.01}, {"train.lr": 0.001}
    with shown(NORMAL):
        callback.setup()
        for each in (one, two):
            callback.on_trial_start(1, [one, two], each)
        search.add("a", TrialState.COMPLETE, 0.25)
        callback.on_trial_complete(2, [one, two], one)
    assert "1/4 a (lr 0.01) finished" in capsys.readouterr().out


def test_a_trial_that_went_wrong_comes_with_the_reason(search, capsys):
    callback = ProgressCallback(search, 4, most)
    with shown(NORMAL):
        callback.setup()
        search.add("a", TrialState.FAIL, None)
        fault = {FAULT: str(Fault(kind="diverged", reason="the loss is not finite"))}
        diverged = trial("a", epoch=2, **{"best_ndcg@10": 0.0}, **fault)
        callback.on_trial_complete(2, [diverged], diverged)
    first, second = capsys.readouterr().out.splitlines()
    assert "1/4 a (H2 N4) diverged at epoch 2/10 -" in first and second.endswith("    the loss is not finite")


@pytest.mark.parametrize(("mode", "lines"), [(NORMAL, 0), (VERBOSE, 3), (QUIET, 0)])
def test_every_epoch_is_a_line_only_where_it_was_asked_for(search, capsys, mode, lines):
    callback = ProgressCallback(search, 4, most)
    with shown(mode):
        callback.setup()
        for epoch in (1, 2, 3):
            callback.on_trial_result(epoch, [one := trial("a")], one, {"epoch": epoch, "best_ndcg@10": 0.1})
    assert capsys.readouterr().out.count("epoch") == lines


def test_the_study_and_no_terminal_go_with_a_copy(search):
    callback = ProgressCallback(search, 4, most)
    with shown(NORMAL):
        callback.setup()
        copy = pickle.loads(pickle.dumps(callback))
        copy.on_trial_start(1, [one := trial("a")], one)
        copy.on_trial_result(1, [one], one, {"epoch": 1})
        assert [row.trial for row in view().state.rows] == ["a"]


def test_the_table_shows_what_differs_between_the_trials(search):
    callback = ProgressCallback(search, 4, most)
    with shown(NORMAL):
        callback.setup()
        fixed = {"model.heads": 2, "model.blocks": 1}
        one, two = trial("a"), trial("b")
        one.config, two.config = (
            fixed | {"train.lr": 0.001, "model.dim": 64},
            fixed | {"train.lr": 0.004, "model.dim": 32},
        )
        callback.on_trial_start(0, [one], one)
        assert [row.setting for row in view().state.rows] == ["H2 D64 L1"], "nothing to compare with yet"
        callback.on_trial_start(0, [one, two], two)
        assert [row.setting for row in view().state.rows] == ["D64, lr 0.001", "D32, lr 0.004"]


def test_epochs_are_counted_by_stage(search):
    callback = ProgressCallback(search, 4, most)
    with shown(NORMAL):
        callback.setup()
        one = trial("deep")
        one.config = {"backbone.epochs": 3}

        def reached(epoch: int, stage: str) -> str:
            callback.on_trial_result(epoch, [one], one, {"epoch": epoch, "stage": stage})
            return view().state.rows[0].reached

        callback.on_trial_start(0, [one], one)
        assert view().state.rows[0].reached == "backbone 0/3"
        assert [reached(1, "backbone"), reached(2, "backbone")] == ["backbone 1/3", "backbone 2/3"]
        assert [reached(3, "fame"), reached(12, "fame")] == ["1/10", "10/10"]
