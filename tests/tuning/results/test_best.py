"""The exported trial is the best by its model's own epochs."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from fame.errors import UserError
from tests.tuning.search.studies import METRIC, make
from tuning.results import best
from tuning.results.best import export_best
from tuning.storage.layout import Storage


@pytest.fixture
def exported(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """The trainings that were exported. Every trial has a checkpoint with its id."""
    found: list[object] = []

    def read_trial(folder: str, trial: str) -> SimpleNamespace:
        return SimpleNamespace(id=trial, reached_model=True, history=[SimpleNamespace(finished=False)])

    monkeypatch.setattr(best, "read_trial", read_trial)
    monkeypatch.setattr(best, "export_model", lambda folder, trained, *rest: found.append(trained.id) or {})
    return found


def report(epoch: int, value: float, stage: str) -> dict:
    return {"epoch": epoch, METRIC: value, "stage": stage}


def test_an_interrupted_sweep_exports_the_best_model_not_the_best_backbone(tmp_path: Path, exported: list) -> None:
    search, storage = make(tmp_path), Storage.of(str(tmp_path / "runs"), "mine")
    for name, backbone, model in (("a", 0.9, 0.3), ("b", 0.4, 0.5)):
        search.suggest(name)
        search.on_trial_result(name, report(1, backbone, "backbone"))
        search.on_trial_complete(name, report(2, model, "fame"))
    search.suggest("backbone only")
    search.on_trial_result("backbone only", report(1, 0.99, "backbone"))
    found = export_best(search.record.trials(), storage, None)
    assert (found.trial_id, found.finished, exported) == ("b", False, ["b"])
    assert found.point == search.record.find("b").point


def test_without_a_model_there_is_nothing_to_export(tmp_path: Path, exported: list) -> None:
    search, storage = make(tmp_path), Storage.of(str(tmp_path / "runs"), "mine")
    search.suggest("a")
    search.on_trial_complete("a", report(1, 0.9, "backbone"))
    assert export_best(search.record.trials(), storage, None) is None and not exported


def test_a_place_that_cannot_be_written_is_said_and_raised_unless_the_sweep_was_stopped_for_it(
    tmp_path: Path, exported: list, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuses(*arguments: object) -> None:
        raise UserError("cannot write")

    search, storage = make(tmp_path), Storage.of(str(tmp_path / "runs"), "mine")
    search.suggest("a")
    search.on_trial_complete("a", report(1, 0.9, "fame"))
    monkeypatch.setattr(best, "export_model", refuses)
    with pytest.raises(UserError, match="cannot write"):
        export_best(search.record.trials(), storage, None)
    monkeypatch.setattr(best, "halted", lambda: "a full disk")
    assert export_best(search.record.trials(), storage, None) is None
    assert capsys.readouterr().out == "the best so far, a, is not exported: cannot write\n"
