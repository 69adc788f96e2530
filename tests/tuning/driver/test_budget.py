"""Limits on time: what was used is in the study, so a killed sweep does not get it twice."""

from __future__ import annotations

import pytest

from tests.tuning.search.studies import make
from tuning.driver import budget
from tuning.driver.budget import TimeBudget, TrialTime
from tuning.faults import halt


def test_the_budget_counts_over_all_drivers_and_ends_the_sweep_once(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock, signals = [0.0], []
    monkeypatch.setattr(budget.time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(halt, "LIMITS", [])
    monkeypatch.setattr(halt.signal, "raise_signal", signals.append)

    def drive(seconds: float) -> None:
        callback = TimeBudget(make(tmp_path), 100, "100s")
        callback.setup()
        clock[0] += seconds
        callback.on_step_end(1, [])
        callback.on_step_end(2, [])

    drive(60)
    assert make(tmp_path).record.spent == 60 and halt.finished_early() is None
    drive(60)
    assert halt.finished_early() == "the time budget of 100s is used up" and len(signals) == 1
    assert halt.halted() is None


def test_a_trial_ends_with_the_epoch_that_reaches_its_time() -> None:
    stopper = TrialTime(10)
    assert [stopper("a", {"trial_seconds": seconds}) for seconds in (4, 9.9, 10)] == [False, False, True]
    assert not stopper("a", {"fault": "failed: why"}) and not stopper.stop_all()
