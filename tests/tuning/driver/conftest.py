"""A search, the reasons that stopped it, and the head of a cluster."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.tuning.driver.failing import Head
from tests.tuning.search.studies import make
from tuning.driver import fault_callback, hang
from tuning.search.study_search import StudySearch
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
