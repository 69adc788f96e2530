"""A trial's run as MLflow has to have it follows from the study alone."""

from __future__ import annotations

import pytest

from tests.tuning.search.studies import METRIC, make
from tuning.faults import Fault, end
from tuning.tracking.wanted import STATUS, WantedRun, status_of


def test_every_state_has_a_status() -> None:
    assert STATUS == {
        "running": "running", "finished": "finished", "stopped": "pruned", "failed": "failed", "lost": "interrupted"
    }  # fmt: skip


@pytest.mark.parametrize("ends", [False, True])
def test_the_value_joins_the_name_of_a_run_that_has_ended(tmp_path, ends: bool) -> None:
    search = make(tmp_path)
    point = search.suggest("a")
    search.on_trial_result("a", {"epoch": 1, METRIC: 0.9, "stage": "backbone"})
    result = {"epoch": 2, METRIC: 0.25, f"best_{METRIC}": 0.25, "stage": "fame", "finished": ends}
    (search.on_trial_complete if ends else search.on_trial_result)("a", result)
    trial = search.record.find("a")
    wanted = WantedRun.of(trial, trial.point, STATUS[trial.state])
    assert wanted.name == ("H2 D16 · 0.2500" if ends else "H2 D16") and wanted.epochs == {1, 2}
    assert wanted.params.keys() == point.keys() and wanted.began <= wanted.ended


def test_a_fault_becomes_tags(tmp_path) -> None:
    search = make(tmp_path)
    search.suggest("a")
    search.on_trial_complete("a", end(Fault(kind="infeasible", reason="too large"), 0, METRIC))
    trial = search.record.find("a")
    wanted = WantedRun.of(trial, trial.point, STATUS[trial.state])
    assert (wanted.status, wanted.tags) == ("failed", {"failure": "infeasible", "error": "too large"})


def test_a_run_is_open_while_tune_runs_the_trial_and_interrupted_where_the_sweep_ended_before_it(tmp_path) -> None:
    search = make(tmp_path)
    for name in "ab":
        search.suggest(name)
    search.on_trial_complete("b", {"epoch": 1, METRIC: 0.1, f"best_{METRIC}": 0.1, "finished": True})
    running, finished = search.record.trials()
    assert [status_of(running, True, over) for over in (False, True)] == ["running", "interrupted"]
    assert [status_of(finished, is_open, False) for is_open in (True, False)] == ["running", "finished"]
    assert status_of(finished, True, True) == "finished"
