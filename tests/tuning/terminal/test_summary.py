"""The table, the MLflow line and the exit code at the end of a sweep."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from fame.errors import EXIT_FAILED, EXIT_INTERRUPTED
from tests.tuning.search.studies import METRIC, make
from tuning.faults import Fault, end
from tuning.plan.command_line import parse
from tuning.plan.new_plan import make_plan
from tuning.plan.sweep_plan import Plan
from tuning.storage.layout import Storage
from tuning.terminal import summary
from tuning.tracking.links import Place

PLACE = Place(experiment_id="7", run_id="abc")
THERE = SimpleNamespace(is_complete=True, where="sqlite:///mlflow.db", behind=0, away=None, place=PLACE)


@pytest.fixture
def plan() -> Plan:
    return make_plan(parse(["--name", "mine"])[0])


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    return Storage.of(str(tmp_path / "runs"), "mine")


def report(epoch: int, value: float, stage: str, **more: object) -> dict:
    return {"epoch": epoch, METRIC: value, f"best_{METRIC}": value, "stage": stage, **more}


def test_the_table_shows_the_value_of_the_model_and_the_word_of_each_trial(plan, storage, tmp_path, capsys) -> None:
    search = make(tmp_path)
    for name in ("stopped", "finished", "broken", "running"):
        search.suggest(name)
    search.on_trial_result("stopped", report(1, 0.4123, "backbone"))
    search.on_trial_complete("stopped", report(2, 0.3928, "fame"))
    search.on_trial_complete("finished", report(1, 0.3966, "fame", finished=True))
    search.on_trial_complete("broken", end(Fault(kind="diverged", reason="why"), 0, METRIC))
    summary.print_results(plan, storage, search.record.trials(), None, THERE, None, {})
    out = capsys.readouterr().out
    assert "4 trials (1 stopped, 1 finished, 1 diverged, 1 unfinished)" in out
    rows = {line.split("│")[1].strip(): line for line in out.splitlines() if line.startswith("│")}
    assert "0.3928" in rows["stopped"] and "0.3966" in rows["finished"] and "0.4123" not in out
    assert [trial for trial in rows if trial] == ["finished", "stopped", "broken"] and "diverged" in rows["broken"]


def test_a_value_of_sampled_users_has_the_standard_error_of_its_epoch(plan, storage, tmp_path, capsys) -> None:
    search = make(tmp_path)
    search.suggest("a")
    search.on_trial_result("a", report(1, 0.4123, "fame", standard_error=0.0021))
    search.on_trial_complete("a", report(2, 0.3928, "fame", standard_error=0.0019))
    (trial,) = search.record.trials()
    assert trial.value_text == "0.4123 ± 0.0021"
    summary.print_results(plan, storage, [trial], None, THERE, None, {})
    assert "0.4123 ± 0.0021" in capsys.readouterr().out


def test_a_store_that_is_behind_is_said_with_the_command_that_helps(plan, storage) -> None:
    away = SimpleNamespace(is_complete=False, where="http://mlflow", behind=3, away="refused", place=PLACE)
    (line,) = summary.mlflow_lines(plan, storage, away)
    assert "http://mlflow does not answer (refused): 3 trials are not up to date" in line
    assert line.endswith("-m tuning.sweep --resume --name mine")
    where, trials, pages = summary.mlflow_lines(plan, storage, THERE)
    assert "experiment 'ml-latest-small' at sqlite:///mlflow.db, run 'mine'" in where
    assert trials.startswith("trials  http://127.0.0.1:5000/#/experiments/7/runs?workflowType=machine_learning&")
    assert pages.endswith("-m tuning.dashboards --name mine")


def test_the_exit_code_says_how_the_sweep_ended(plan, storage, tmp_path, capsys, monkeypatch) -> None:
    search = make(tmp_path)
    with monkeypatch.context() as limited:
        limited.setattr(summary, "finished_early", lambda: "the time budget of 1s is used up")
        assert summary.conclude(plan, storage, [], interrupted=False) == EXIT_FAILED
        assert "the time budget of 1s is used up, and no trial has had an epoch" in capsys.readouterr().err
    assert summary.conclude(plan, storage, [], interrupted=False) == EXIT_FAILED
    assert "no reason is known" in capsys.readouterr().err
    search.suggest("broken")
    search.on_trial_complete("broken", end(Fault(kind="failed", reason="why"), 0, METRIC))
    assert summary.conclude(plan, storage, search.record.trials(), interrupted=False) == EXIT_FAILED
    assert "every trial failed; the last: why" in capsys.readouterr().err
    search.suggest("good")
    search.on_trial_complete("good", report(1, 0.1, "fame", finished=True))
    assert summary.conclude(plan, storage, search.record.trials(), interrupted=False) == 0
    assert summary.conclude(plan, storage, search.record.trials(), interrupted=True) == EXIT_INTERRUPTED
    monkeypatch.setattr(summary, "halted", lambda: "a full disk")
    assert summary.conclude(plan, storage, search.record.trials(), interrupted=True) == EXIT_FAILED
    assert "a full disk; mend that, then --resume" in capsys.readouterr().err


SANITY = {
    "popularity": {"validation": {METRIC: 0.0123}, "test": {METRIC: 0.01}},
    "transition": {"validation": {METRIC: 0.0456}, "test": {METRIC: 0.04}},
}


def test_the_table_shows_what_counting_reaches(plan, storage, tmp_path, capsys) -> None:
    search = make(tmp_path)
    search.suggest("a")
    search.on_trial_complete("a", report(1, 0.3, "fame", finished=True))
    summary.print_results(plan, storage, search.record.trials(), None, THERE, None, SANITY)
    out = capsys.readouterr().out
    assert "popularity" in out and "0.0123" in out and "0.0456" in out


def test_the_table_shows_the_front_and_limits_that_no_trial_keeps_are_one_line(storage, tmp_path, capsys) -> None:
    plan = make_plan(parse(["--name", "mine", "--metric", f"{METRIC},coverage@10", "--limit", "coverage@10 > 0.1"])[0])
    search = make(tmp_path, aims=plan.options.aims, limits=plan.options.bounds)
    for name, value, coverage in (
        ("over", 0.9, 0.05),
        ("first", 0.3, 0.2),
        ("wide", 0.2, 0.6),
        ("beaten", 0.1, 0.1001),
    ):
        search.suggest(name)
        last = report(1, value, "fame", finished=True, **{"coverage@10": coverage})
        search.on_trial_complete(name, last)
        if name == "over":
            assert summary.conclude(plan, storage, search.record.trials(), interrupted=False) == EXIT_FAILED
            (line,) = capsys.readouterr().err.splitlines()
            assert "no trial keeps the limits coverage@10 > 0.1" in line and "coverage@10 is 0.0500" in line
    summary.print_results(plan, storage, search.record.trials(), None, THERE, None, {})
    out = capsys.readouterr().out
    rows = {line.split("│")[1].strip(): line for line in out.splitlines() if line.startswith("│")}
    assert [name for name, line in rows.items() if "front" in line] == ["first", "wide"]
    assert "aims    2 trials on the Pareto front" in out
