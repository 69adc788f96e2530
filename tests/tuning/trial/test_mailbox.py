"""Commands to a worker and its reports wait in the worker's process."""

from __future__ import annotations

import pytest

from tuning.trial import mailbox
from tuning.trial.mailbox import End, Go, Waiting, exchange, receive, send


def test_a_report_answers_a_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mailbox, "WAIT_SECONDS", 0.01)
    assert isinstance(exchange(Go()), Waiting), "there is no report yet"
    assert mailbox.COMMANDS.get_nowait() == Go()
    for report in ({"epoch": 1}, None):
        mailbox.REPORTS.put(report)
        assert receive() == report
    send(End())
    assert isinstance(mailbox.COMMANDS.get_nowait(), End) and mailbox.COMMANDS.empty()
