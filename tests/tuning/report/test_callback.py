"""While a sweep runs its report is written now and then."""

from __future__ import annotations

from tests.tuning.report.conftest import STATISTICS, Swept
from tuning.report import callback
from tuning.report.callback import ReportCallback, try_report


def test_while_a_sweep_runs_it_is_written_now_and_then(swept: Swept, monkeypatch):
    swept.trials(3)
    now = [100.0]
    monkeypatch.setattr(callback.time, "monotonic", lambda: now[0])
    writer = ReportCallback(swept.plan, swept.storage, swept.search(), STATISTICS)
    writer.setup()
    for seconds, written in ((1, False), (callback.EVERY_SECONDS, True), (1, False), (callback.EVERY_SECONDS, True)):
        now[0] += seconds
        writer.on_trial_result(0, [], None, {})
        assert swept.storage.report.exists() == written
        swept.storage.report.unlink(missing_ok=True)


def test_a_report_that_cannot_be_written_is_said_and_the_sweep_goes_on(swept: Swept, capsys, monkeypatch):
    study = swept.trials(3)
    swept.storage.report.mkdir()
    assert not try_report(swept.plan, swept.storage, study, STATISTICS)
    assert capsys.readouterr().err.startswith(f"no report: cannot write {swept.storage.report}: Is a directory")
    assert not try_report(swept.plan, swept.storage, study, {"steps": 3})
    assert "no report: TypeError" in capsys.readouterr().err
