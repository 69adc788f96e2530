"""A sweep is planned, new or continued, before anything is written."""

from __future__ import annotations

from pathlib import Path

import pytest

from fame.errors import UserError
from tuning.library.run import planned
from tuning.plan.options import Options
from tuning.storage.layout import Storage


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_a_new_sweep_has_a_name_and_a_place_and_is_not_there_yet() -> None:
    plan, storage = planned(Options(model="sasrec"), {})
    assert storage.name.startswith("ml-latest-small-sasrec-") and not storage.exists
    assert plan.options.model == "sasrec" and not list(Path().iterdir())


def test_a_name_that_is_taken_is_refused_and_can_be_gone_on_with() -> None:
    plan, storage = planned(Options(name="mine", trials=3), {})
    storage.create(plan.to_record("beef"))
    with pytest.raises(UserError, match=r"--name mine: there is a sweep of this name .*; go on with --resume"):
        planned(Options(name="mine"), {})
    again, there = planned(Options(resume=True), {})  # the newest one
    assert (again.trials, there.name) == (3, "mine")


def test_what_was_never_started_cannot_be_gone_on_with() -> None:
    with pytest.raises(UserError, match=r"--resume: there is no sweep 'mine' at runs/mine; start it without --resume"):
        planned(Options(name="mine", resume=True), {})
    assert not Storage.of("runs", "mine").exists
