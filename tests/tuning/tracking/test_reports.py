"""The metrics of epochs: noted until MLflow has them, and never more than fit into memory."""

from __future__ import annotations

from datetime import datetime
from types import SimpleNamespace

import pytest

from tuning.tracking import reports
from tuning.tracking.reports import Reports

METRIC = "ndcg@10"
TRIAL = SimpleNamespace(
    id="a", began=datetime(2026, 1, 1), over=None, curve=dict.fromkeys(range(1, 9), 0.5), point={"x": 1}
)


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Trials whose checkpoints were read. They have two epochs of 1.5 s."""
    found: list[str] = []

    def read_trial(folder: str, trial: str) -> SimpleNamespace:
        found.append(trial)
        history = [SimpleNamespace(epoch=e, train_seconds=1.0, evaluate_seconds=0.5) for e in (1, 2)]
        return SimpleNamespace(history=history)

    monkeypatch.setattr(reports, "read_trial", read_trial)
    monkeypatch.setattr(reports, "reported_metrics", lambda report, metric: {metric: 0.1, "epoch": report.epoch})
    return found


def test_an_epoch_whose_note_is_on_its_way_waits_for_it(read: list[str]) -> None:
    some = Reports(METRIC)
    some.begin("a", {"x": 1})
    assert some.is_open("a") and not some.of(TRIAL, "", {1}, complete=False) and not read
    some.note("a", {"epoch": 3, METRIC: 0.3, "done": True, "stage": "fame"})
    found = some.of(TRIAL, "", {1, 2, 3, 4}, complete=False)
    assert list(found) == [1, 2, 3] and found[3].metrics == {METRIC: 0.3} and read == ["a"]
    some.written("a", [1, 2, 3])
    assert not some.of(TRIAL, "", {4}, complete=False) and read == ["a"]
    some.end("a")
    assert not some.is_open("a") and list(some.of(TRIAL, "", {4}, complete=True)) == [4]


def test_times_that_nobody_noted_follow_from_the_trials_start(read: list[str]) -> None:
    found = Reports(METRIC).of(TRIAL, "", {1, 2, 3}, complete=True)
    began = TRIAL.began.timestamp() * 1000
    assert [one.when - began for one in found.values()] == [1500, 3000, 3000]
    assert [one.metrics[METRIC] for one in found.values()] == [0.1, 0.1, 0.5]  # the last is in no checkpoint


def test_times_of_an_ended_trial_follow_from_its_end(read: list[str]) -> None:
    ended = SimpleNamespace(**{**vars(TRIAL), "over": datetime(2026, 1, 2)})
    found = Reports(METRIC).of(ended, "", {1, 2}, complete=True)
    assert [one.when - ended.over.timestamp() * 1000 for one in found.values()] == [-1500, 0]


def test_the_first_report_of_an_epoch_stays(read: list[str]) -> None:
    some = Reports(METRIC)
    for value in (0.1, 0.2):
        some.note("a", {"epoch": 1, METRIC: value})
    assert some.of(TRIAL, "", {1}, complete=True)[1].metrics == {METRIC: 0.1}


def test_ended_trials_are_left_to_their_checkpoints_when_too_much_waits(
    read: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reports, "MOST_NOTES", 4)
    some = Reports(METRIC)
    for epoch in (1, 2, 3):
        some.note("a", {"epoch": epoch, METRIC: 0.3})
    some.end("a")
    for epoch in (1, 2):
        some.note("b", {"epoch": epoch, METRIC: 0.3})
    assert some.of(TRIAL, "", {1}, complete=True)[1].metrics == {METRIC: 0.1} and read == ["a"]
    assert some.of(SimpleNamespace(id="b"), "", {1, 2}, complete=True)[2].metrics == {METRIC: 0.3} and read == ["a"]


def test_the_settings_of_a_trial_are_those_it_has_now() -> None:
    some = Reports(METRIC)
    assert some.point(TRIAL) == {"x": 1}
    some.begin("a", {"x": 2})
    assert some.point(TRIAL) == {"x": 2}
