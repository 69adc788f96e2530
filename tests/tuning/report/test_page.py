"""The report of a sweep: what it says, and that a browser draws it without network and without a scroll bar."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.browser import needs_chromium, show
from tests.tuning.report.conftest import STATISTICS, Swept
from tuning.report.page import report, write_report


def test_it_says_what_the_study_has(swept: Swept):
    study = swept.trials(9)
    page = report(swept.plan, swept.storage, study, STATISTICS)
    for words in ("8 / 12", "while trials are left", "0.0840", "5,678", "number of heads H", "Parallel coordinates"):
        assert words in page, words
    assert "Importance of parameters" in page and page.count('class="figure"') == 5


@pytest.mark.parametrize("count", [0, 1, 2, 3])
def test_it_is_there_from_the_first_trial_on(swept: Swept, count: int):
    page = report(swept.plan, swept.storage, swept.trials(count), None)
    assert f"{max(0, count - 1)} / 12" in page and "Dataset" not in page
    assert ("Learning curves" in page) == (count > 0)


def test_it_needs_no_network(swept: Swept):
    page = report(swept.plan, swept.storage, swept.trials(5), STATISTICS)
    outside = re.sub(r'<script type="text/plain" id="plotly">.*?</script>', "", page, flags=re.DOTALL)
    assert not re.search(r"""(src|href)\s*=|https?://|@import|url\(""", outside)
    assert len(page) < 2_500_000


def test_what_users_name_is_escaped(swept: Swept):
    study = swept.trials(2)
    object.__setattr__(swept.storage, "name", "<script>alert(1)</script>")
    assert "<script>alert(1)" not in report(swept.plan, swept.storage, study, None)


def test_models_that_count_have_a_column_for_each_part_and_a_row_for_each_metric(swept: Swept):
    swept.trials(4)
    values = {"hr@10": 0.0345, "ndcg@10": 0.0123}
    swept.search().record.note_sanity({"popularity": {"validation": values, "test": values}})
    rows = report(swept.plan, swept.storage, swept.search().study, STATISTICS).partition("Sanity: the same data")[2]
    assert rows.index("popularity validation") < rows.index("popularity test") < rows.index("ndcg@10")
    assert rows.index("ndcg@10") < rows.index("hr@10") < rows.index("The best trial has")


def test_the_trials_in_mlflow_are_one_click_away(swept: Swept):
    study = swept.trials(4)
    assert "Trials in MLflow" not in report(swept.plan, swept.storage, study, STATISTICS)
    swept.search().record.note_tracked({"experiment_id": "7", "run_id": "abc"})
    study = swept.search().study
    page = report(swept.plan, swept.storage, study, STATISTICS)
    assert 'href="http://127.0.0.1:5000/#/experiments/7/runs?workflowType=machine_learning&amp;' in page


@needs_chromium
@pytest.mark.slow
@pytest.mark.parametrize("width", [1280, 400])
def test_a_browser_draws_all_plots_and_nothing_is_wider_than_the_window(swept: Swept, width: int):
    study = swept.trials(12)
    swept.export()
    page = show(write_report(swept.plan, swept.storage, study, STATISTICS), width)
    assert page.problems == []
    assert (page.width, page.page_width, page.too_wide) == (width, width, [])
    assert len(page.plots) == 5
    for plot in page.plots:
        assert plot["drawn"] and plot["marks"] > 0, plot
        scrolled = plot["id"] == "figure-5"  # parallel coordinates need their width
        assert plot["width"] == plot["room"] or (scrolled and plot["width"] > plot["room"]), plot
    assert "cannot be drawn" not in page.text


@needs_chromium
@pytest.mark.slow
def test_the_browser_test_finds_what_is_wrong(swept: Swept, tmp_path: Path):
    page = report(swept.plan, swept.storage, swept.trials(4), STATISTICS)
    broken = page.replace("Plotly.newPlot(", "Plotly.newPlots(", 1)
    (tmp_path / "broken.html").write_text(broken)
    assert "cannot be drawn" in show(tmp_path / "broken.html", 1280).text
    wide = page.replace("<h1>", '<div style="width: 900px">x</div><img src="https://example.org/x.png"><h1>', 1)
    (tmp_path / "wide.html").write_text(wide)
    found = show(tmp_path / "wide.html", 400)
    assert found.too_wide and found.page_width > 400 and found.problems
