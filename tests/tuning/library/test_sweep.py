"""A sweep opened in Python: its trials, its study, its page, its model."""

from __future__ import annotations

import pytest

import tuning
from fame import UserError
from tests.tuning.report.conftest import Swept, swept
from tuning.study.reading import ReadOnlyError

__all__ = ["swept"]


@pytest.fixture
def opened(swept: Swept) -> tuning.Sweep:
    return tuning.open_sweep("mine", str(swept.storage.local.parent))


def test_the_trials_are_a_frame_with_the_best_first(swept: Swept, opened: tuning.Sweep):
    swept.trials(6)
    found = opened.trials
    expected = ["trial", "state", "ndcg@10", "epochs", "best_epoch", "seconds", "model.heads", "model.experts"]
    assert list(found.columns)[:8] == expected
    assert found["trial"].tolist() == [f"{number:08x}" for number in (4, 3, 1, 0, 5, 2)]
    assert found["state"].tolist() == ["finished"] * 4 + ["running", "stopped"]
    assert found["epochs"].tolist() == [4, 4, 4, 4, 2, 2]
    assert found["ndcg@10"].iloc[0] == pytest.approx(0.054)
    assert repr(opened) == f"Sweep(mine: 6 trials, best ndcg@10 0.0540; {swept.storage.local})"


def test_the_study_is_optunas_and_cannot_be_written(swept: Swept, opened: tuning.Sweep):
    swept.trials(3)
    assert len(opened.study.trials) == 3
    with pytest.raises(ReadOnlyError):
        opened.study.ask()


def test_the_report_is_a_page_that_a_notebook_shows_whole(swept: Swept, opened: tuning.Sweep, tmp_path):
    swept.trials(3)
    page = opened.report()
    assert page.path == swept.storage.report
    shown = page._repr_html_()
    assert shown.startswith('<iframe srcdoc="&lt;!') and shown.count("<") == 2
    with open(opened.report(tmp_path / "p.html")) as file:
        assert "<title>mine" in file.read()


def test_what_is_not_there_is_one_line(swept: Swept, opened: tuning.Sweep):
    with pytest.raises(UserError, match=r"no sweep 'mien' at .*did you mean 'mine'"):
        tuning.open_sweep("mien", str(swept.storage.local.parent))
    with pytest.raises(UserError, match=r"sweep 'mine' has no study at .*it has not begun yet"):
        _ = opened.trials
    with pytest.raises(UserError, match="sweep 'mine' has exported no model to "):
        _ = opened.best_model
