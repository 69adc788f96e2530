"""Decisions about a trial that raised. Exceptions arrive in a file, as Tune writes it."""

from __future__ import annotations

import errno
from pathlib import Path
from types import SimpleNamespace

import pytest
from optuna.trial import TrialState
from ray.exceptions import ActorDiedError

from tests.tuning.driver.failing import POINT, STORAGE, Trial, faults_of, in_task
from tests.tuning.search.studies import METRIC, finish
from tuning.driver.fault_callback import RETRIES
from tuning.faults import Fault, end
from tuning.faults.disk import RESERVE, reserve
from tuning.search.study_search import StudySearch
from tuning.storage.layout import Storage
from tuning.trial.restart import point_of, restart_of

pytestmark = pytest.mark.usefixtures("head")


def test_what_would_come_again_ends_the_trial(search: StudySearch, tmp_path: Path, halted: list[str]) -> None:
    trial = Trial(tmp_path).raises(in_task(MemoryError("rank 1")))
    search.suggest("a")
    faults_of(search, STORAGE).on_trial_recover(0, [], trial)
    note = restart_of(trial.config)
    assert Fault.parse(note.fault) == Fault(kind="infeasible", reason="MemoryError: rank 1") and note.seen == 2
    assert point_of(trial.config) == POINT and trial.max_failures == 0 and not halted
    assert search.record.find("a").fault.kind == "infeasible"
    search.on_trial_complete("a", error=True)  # not even its last report came
    assert search.record.find("a").stored.state == TrialState.PRUNED


def test_a_process_that_dies_is_started_again_so_often_and_no_more(
    search: StudySearch, tmp_path: Path, halted: list[str]
) -> None:
    trial = Trial(tmp_path)
    for count in range(1, RETRIES + 1):
        faults_of(search, STORAGE).on_trial_recover(0, [], trial.raises(ActorDiedError()))
        assert restart_of(trial.config).lost == count and restart_of(trial.config).fault is None
    faults_of(search, STORAGE).on_trial_recover(0, [], trial.raises(ActorDiedError()))
    fault = Fault.parse(restart_of(trial.config).fault)
    assert fault.kind == "lost" and fault.reason.startswith("died 3 times in a row: ActorDiedError: The actor died")
    assert not halted


def test_a_trial_that_gets_on_between_two_deaths_goes_on(search: StudySearch, tmp_path: Path) -> None:
    trial = Trial(tmp_path)
    for epoch in range(1, 4 * RETRIES):
        trial.last_result = {"epoch": epoch}
        faults_of(search, STORAGE).on_trial_recover(0, [], trial.raises(ActorDiedError()))
        assert restart_of(trial.config).fault is None


def test_an_exception_that_tune_keeps_as_text_is_not_taken_for_the_one_before(
    search: StudySearch, tmp_path: Path
) -> None:
    trial = Trial(tmp_path)
    faults_of(search, STORAGE).on_trial_recover(0, [], trial.raises(ActorDiedError()))
    faults_of(search, STORAGE).on_trial_recover(0, [], trial.raises(RuntimeError("of Tune's own")))
    assert Fault.parse(restart_of(trial.config).fault).reason == "RuntimeError: of Tune's own"


def test_a_full_disk_stops_the_sweep_and_leaves_the_trial(
    search: StudySearch, tmp_path: Path, halted: list[str]
) -> None:
    trial = Trial(tmp_path).raises(in_task(OSError(errno.ENOSPC, "No space left on device")))
    (tmp_path / "s").mkdir()
    reserve(tmp_path / "s")
    faults_of(search, Storage.of(str(tmp_path), "s")).on_trial_recover(0, [], trial)
    assert trial.config == POINT and not (tmp_path / "s" / RESERVE).exists()
    (reason,) = halted
    assert reason.startswith(f"cannot write {tmp_path}/s/trials/a: no space left on the device (")


def test_trials_that_fail_alike_before_any_epoch_stop_the_sweep(search: StudySearch, halted: list[str]) -> None:
    faults = faults_of(search, STORAGE)

    def fails(name: str, reason: str, kind: str = "failed") -> None:
        search.suggest(name)
        result = end(Fault(kind=kind, reason=reason), 0, METRIC)
        search.on_trial_complete(name, result)
        faults.on_trial_complete(0, [], SimpleNamespace(trial_id="x", last_result=result))

    fails("a", "KeyError: 'x'")
    fails("b", "KeyError: 'y'")
    fails("c", "MemoryError", "infeasible")
    fails("d", "MemoryError", "infeasible")
    assert not halted
    fails("e", "KeyError: 'x'")
    assert halted == ["2 trials failed alike before any had an epoch: KeyError: 'x'"]


def test_trials_that_fail_after_others_had_epochs_do_not(search: StudySearch, halted: list[str]) -> None:
    search.suggest("good")
    finish(search, "good", 0.1)
    faults, result = faults_of(search, STORAGE), end(Fault(kind="failed", reason="KeyError: 'x'"), 0, METRIC)
    for name in "abc":
        search.suggest(name)
        search.on_trial_complete(name, result)
        faults.on_trial_complete(0, [], SimpleNamespace(trial_id="x", last_result=result))
    assert not halted
