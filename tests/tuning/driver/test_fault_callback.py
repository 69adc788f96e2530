"""What is decided about a trial that raised; exceptions arrive as Tune leaves them, in a file."""

from __future__ import annotations

import errno
from pathlib import Path
from types import SimpleNamespace

import pytest
from optuna.trial import TrialState
from ray import cloudpickle
from ray.exceptions import ActorDiedError, RayTaskError

from tests.tuning.search.studies import METRIC, finish, make
from tuning.driver import fault_callback, hang
from tuning.driver.fault_callback import RETRIES, FaultCallback
from tuning.faults import Fault, end
from tuning.faults.disk import RESERVE, reserve
from tuning.search.study_search import StudySearch
from tuning.storage.layout import Storage
from tuning.trial import pulse
from tuning.trial.restart import point_of, restart_of

POINT = {"train.lr": 0.01}
HANG_AFTER = 60.0
STORAGE = Storage.of("s3://bucket", "s")


@pytest.fixture
def halted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    reasons: list[str] = []
    monkeypatch.setattr(fault_callback, "halt", reasons.append)
    return reasons


@pytest.fixture
def search(tmp_path: Path) -> StudySearch:
    return make(tmp_path)


@pytest.fixture(autouse=True)
def head(monkeypatch: pytest.MonkeyPatch) -> Head:
    head = Head()
    for name in ("signs", "forget", "end_process"):
        monkeypatch.setattr(pulse, name, getattr(head, name))
    monkeypatch.setattr(hang.time, "monotonic", lambda: head.now)
    return head


class Head:
    """The key-value store of Ray's head, the processes that wrote to it, and the time."""

    def __init__(self) -> None:
        self.now, self.known, self.killed = 0.0, {}, []

    def signs(self, trial_id: str, workers: int) -> list[bytes]:
        return [self.known[trial_id]] if trial_id in self.known else []

    def forget(self, trial_id: str, workers: int) -> None:
        self.known.pop(trial_id, None)

    def end_process(self, sign: bytes) -> None:
        self.killed.append(sign)


def faults_of(search: StudySearch, storage: Storage = STORAGE) -> FaultCallback:
    faults = FaultCallback(search, storage, 1, HANG_AFTER)
    faults.setup()
    return faults


class Trial(SimpleNamespace):
    def __init__(self, folder: Path) -> None:
        super().__init__(trial_id="a", status="RUNNING", config=dict(POINT), last_result={"epoch": 2}, folder=folder)
        self.error_file, self.pickled_error_file = str(folder / "error.txt"), None

    def set_config(self, config: dict) -> None:
        self.config = config

    def raises(self, error: Exception) -> Trial:
        Path(self.error_file).write_text(f"Failure # 1\n{type(error).__name__}: {error}\n")
        if isinstance(error, (RayTaskError, ActorDiedError)):
            self.pickled_error_file = str(self.folder / "error.pkl")
            Path(self.pickled_error_file).write_bytes(cloudpickle.dumps(error))
        return self


def in_task(error: Exception) -> RayTaskError:
    return RayTaskError("train", "Traceback", error).as_instanceof_cause()


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


# Trials that hang.


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
