"""Trials that hang are ended, and started again once."""

from __future__ import annotations

from pathlib import Path

import pytest
from ray.exceptions import ActorDiedError

from tests.tuning.driver.failing import HANG_AFTER, STORAGE, Head, Trial, faults_of
from tuning.driver.fault_callback import FaultCallback
from tuning.faults import Fault
from tuning.search.study_search import StudySearch
from tuning.trial.restart import restart_of


def watched(faults: FaultCallback, head: Head, trial: Trial, seconds: float, sign: str | None = "1") -> None:
    """Let time pass, in which a trial's process gives one sign."""
    if sign is not None:
        head.known["a"] = sign.encode()
    for _ in range(int(seconds)):
        head.now += 1
        faults.on_step_end(0, [trial])


def test_a_trial_that_hangs_is_ended_and_started_again_once(
    search: StudySearch, tmp_path: Path, head: Head, capsys: pytest.CaptureFixture[str]
) -> None:
    trial, faults = Trial(tmp_path), faults_of(search)
    faults.on_trial_start(0, [], trial)
    watched(faults, head, trial, HANG_AFTER)
    assert not head.killed
    watched(faults, head, trial, HANG_AFTER / 4)
    assert head.killed == [b"1"]
    watched(faults, head, trial, HANG_AFTER * 2)  # until Tune notices
    assert head.killed == [b"1"]
    faults.on_trial_recover(0, [], trial.raises(ActorDiedError()))
    note = restart_of(trial.config)
    assert (note.hung, note.lost, note.fault) == (1, 0, None) and not head.known
    assert "trial a: no sign of life for 60 s; it is started again" in capsys.readouterr().out
    faults.on_trial_start(0, [], trial)
    watched(faults, head, trial, HANG_AFTER * 1.5, "2")
    assert head.killed == [b"1", b"2"]
    faults.on_trial_recover(0, [], trial.raises(ActorDiedError()))
    assert Fault.parse(restart_of(trial.config).fault) == Fault(
        kind="hung", reason="no sign of life for 60 s, again after it was started again"
    )


def test_neither_waiting_nor_slow_is_hanging(search: StudySearch, tmp_path: Path, head: Head) -> None:
    trial, faults = Trial(tmp_path), faults_of(search)
    faults.on_trial_start(0, [], trial)
    watched(faults, head, trial, HANG_AFTER * 10, sign=None)  # for resources: no process of it runs
    for count in range(10):  # an epoch of many steps, or a stage that is waited for
        watched(faults, head, trial, HANG_AFTER * 0.8, str(count))
    trial.status = "PAUSED"
    watched(faults, head, trial, HANG_AFTER * 10)
    assert not head.killed


def test_a_report_is_a_sign_of_life_and_0_looks_at_nothing(search: StudySearch, tmp_path: Path, head: Head) -> None:
    trial, faults = Trial(tmp_path), faults_of(search)
    for _ in range(5):
        faults.on_trial_result(0, [], trial, {"epoch": 1})
        watched(faults, head, trial, HANG_AFTER * 0.8)
    faults = FaultCallback(search, STORAGE, 1, 0)
    faults.setup()
    watched(faults, head, trial, HANG_AFTER * 10)
    assert not head.killed
