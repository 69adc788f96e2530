"""A search, the reasons that stopped it, and the head of a cluster."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.tuning.driver.failing import Head
from tests.tuning.search.studies import make
from tuning.driver import fault_callback, hang
from tuning.plan.command_line import parse
from tuning.plan.new_plan import make_plan
from tuning.plan.sweep_plan import Plan
from tuning.results import next_steps
from tuning.search.study_search import StudySearch
from tuning.storage.layout import Storage
from tuning.trial import pulse


@pytest.fixture
def halted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    reasons: list[str] = []
    monkeypatch.setattr(fault_callback, "halt", reasons.append)
    return reasons


@pytest.fixture
def search(tmp_path: Path) -> StudySearch:
    return make(tmp_path)


@pytest.fixture
def head(monkeypatch: pytest.MonkeyPatch) -> Head:
    head = Head()
    for name in ("signs", "forget", "end_process"):
        monkeypatch.setattr(pulse, name, getattr(head, name))
    monkeypatch.setattr(hang.time, "monotonic", lambda: head.now)
    return head


@pytest.fixture
def plan() -> Plan:
    return make_plan(parse(["--name", "mine"])[0])


@pytest.fixture
def storage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Storage:
    catalogue = SimpleNamespace(ids=[1, 2, 3, 4], counts=[1, 4, 3, 2])
    monkeypatch.setattr(next_steps, "load_catalogue", lambda folder: catalogue)
    return Storage.of(str(tmp_path / "runs"), "mine")
