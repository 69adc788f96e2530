"""The study open for writing: what is proposed, lost, adopted and ended. `test_study_search` drives it as Tune does."""

from __future__ import annotations

from pathlib import Path

import optuna
import pytest

from fame.errors import UserError
from tests.tuning.search.studies import METRIC, TREE
from tuning.faults import Fault
from tuning.space.file import space_from_dict
from tuning.study.record import Record


@pytest.fixture
def record(tmp_path: Path) -> Record:
    return opened(tmp_path)


def opened(folder: Path, metric: str = METRIC) -> Record:
    sampler = optuna.samplers.RandomSampler(seed=0)
    return Record(folder / "study.log", "mine", space_from_dict(TREE), metric, sampler, ())


def report(record: Record, trial: str, epoch: int, value: float) -> None:
    record.report(trial, epoch, value, backbone=False, uses={})


def test_start_points_are_queued_once_and_a_trial_is_found_by_its_id(record: Record, tmp_path: Path) -> None:
    assert record.overview.queued and record.overview.proposed == 0
    points = [record.propose(name) for name in "ab"]
    assert points == [dict(point) for point in record.space.start] and not record.overview.queued
    assert (record.running, record.overview.proposed, record.ids()) == (2, 2, {"a", "b"})
    assert record.find("b").point == points[1] and record.find("c") is None
    again = opened(tmp_path)
    assert (again.running, again.overview.proposed, again.overview.queued) == (2, 2, False)


def test_a_proposal_does_not_look_through_all_trials_unless_points_are_queued(record: Record, monkeypatch) -> None:
    reads = []
    read = record._storage.get_all_trials
    monkeypatch.setattr(record._storage, "get_all_trials", lambda *a, **k: reads.append(k) or read(*a, **k))
    for name in "ab":
        record.propose(name)
    assert [one["states"] for one in reads] == [(optuna.trial.TrialState.WAITING,)] * 2
    record.propose("c")
    assert len(reads) == 2 and record.find("c").stored.number == 2


def test_a_study_of_another_metric_is_refused(record: Record, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="another search space or metric"):
        opened(tmp_path, "hr@10")


def test_a_fault_decides_over_the_state_that_is_told(record: Record) -> None:
    record.propose("a")
    report(record, "a", 1, 0.5)
    record.note_fault("a", Fault(kind="hung", reason="why"))
    record.end("a", "finished", 0.5)
    assert (record.find("a").state, record.find("a").value, record.find("a").fault.kind) == ("failed", None, "hung")
    report(record, "a", 2, 0.6)  # it has ended
    assert record.find("a").curve == {1: 0.5} and record.running == 0


def test_a_lost_trial_gives_its_point_back_and_one_that_the_study_lost_is_adopted(record: Record) -> None:
    point = record.propose("a")
    record.give_up(())
    assert record.trials() == [] and record.overview.queued and record.overview.proposed == 0
    record.adopt("elsewhere", point)
    assert record.is_running("elsewhere") and record.find("elsewhere").point == point
    record.end("elsewhere", "stopped")
    assert [trial.id for trial in record.trials()] == ["elsewhere"]
