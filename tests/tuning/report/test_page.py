"""The report of a sweep: what it says, and that a browser draws it without network and without a scroll bar."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState, create_trial

from fame.errors import EXIT_USER_ERROR
from tests.browser import needs_chromium, show
from tests.commands import call
from tests.tuning.report.conftest import STATISTICS, Swept
from tuning.report import __main__ as command
from tuning.report import callback
from tuning.report.callback import ReportCallback, try_report
from tuning.report.edges import edges
from tuning.report.page import report, write_report
from tuning.report.savings import spent
from tuning.space.file import space_from_dict
from tuning.study.trials import SweepTrial


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


# At the edge of the range.

SPACE = {
    "base": {},
    "search": {
        "model.heads": {"choices": [1, 2, 4]},
        "train.lr": {"low": 1e-4, "high": 1e-2, "log": True},
        "model.dropout": {"low": 0.1, "high": 0.6, "step": 0.1},
        "train.weight_decay": {"choices": [0.0, 1e-5, 1e-4]},
        "train.batch_size": {"low": 16, "high": 64},
        "train.optimizer": {"choices": ["adam", "adamw"]},
    },
}
MIDDLE = {
    "model.heads": 2, "train.lr": 1e-3, "model.dropout": 0.3, "train.weight_decay": 1e-5, "train.batch_size": 32,
    "train.optimizer": "adam",
}  # fmt: skip


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({}, None),
        ({"model.heads": 1}, None),  # there is no less than one
        ({"model.heads": 4}, "model.heads = 4 is at the upper end of what was searched ({1, 2, 4}): values above"),
        ({"train.lr": 9.9e-3}, "train.lr = 0.0099 is at the upper end of what was searched (0.0001 to 0.01, log)"),
        ({"train.lr": 1.01e-4}, "train.lr = 0.000101 is at the lower end"),
        ({"train.lr": 5e-3}, None),
        ({"model.dropout": 0.1}, "model.dropout = 0.1 is at the lower end"),
        ({"train.weight_decay": 0.0}, None),  # must not be negative
        ({"train.weight_decay": 1e-4}, "train.weight_decay = 0.0001 is at the upper end"),
        ({"train.batch_size": 16}, "train.batch_size = 16 is at the lower end"),
        ({"train.batch_size": 17}, None),
        ({"train.optimizer": "adamw"}, None),  # no order
    ],
)
def test_a_best_value_at_the_edge_is_told_unless_nothing_lies_beyond(changed, words):
    found = edges(space_from_dict(SPACE), {**MIDDLE, **changed})
    if words is None:
        assert found == []
    else:
        assert len(found) == 1 and found[0].startswith(words)


# What early stopping spared.


def test_what_was_not_trained_is_counted_at_the_speed_of_each_trial():
    space = space_from_dict({"base": {"train": {"epochs": 10}}, "search": {"backbone.epochs": {"choices": [0, 4]}}})
    began = datetime(2026, 1, 1)

    def trial(state: TrialState, epochs: int, seconds: float, backbone: int) -> SweepTrial:
        made = create_trial(
            state=state,
            value=0.1 if state == TrialState.COMPLETE else None,
            params={"backbone.epochs": backbone},
            distributions={"backbone.epochs": optuna.distributions.CategoricalDistribution([0, 4])},
            intermediate_values=dict.fromkeys(range(1, epochs + 1), 0.1),
        )
        made.datetime_start, made.datetime_complete = began, began + timedelta(seconds=seconds)
        return SweepTrial(made)

    found = spent(
        [
            trial(TrialState.COMPLETE, 10, 100, 0),
            trial(TrialState.PRUNED, 2, 20, 0),  # 8 epochs of 10 s
            trial(TrialState.PRUNED, 6, 30, 4),  # 8 epochs of 5 s
            trial(TrialState.FAIL, 1, 7, 0),
        ],
        space,
        began,
    )
    assert (found.epochs, found.stopped, found.epochs_spared) == (19, 2, 16)
    assert (found.seconds, found.seconds_spared) == pytest.approx((157, 120))


def test_the_exported_model_is_there_with_its_test_metric_configuration_place_and_commands(swept: Swept):
    study = swept.trials(4)
    swept.export()
    page = report(swept.plan, swept.storage, study, STATISTICS)
    assert "<b>0.0987</b>test ndcg@10" in page and "trial 00000003" in page
    assert "name: fame\n  heads: 4" in page and f"{swept.storage.best}/config.yaml" in page
    for words in ("-m fame.train --config", "--history 8,7\n", "-m tuning.dashboards --name mine"):
        assert words in page
    rows = page[page.index("Metrics of the exported model") :]
    assert rows.index("ndcg@10") < rows.index("hr@10"), "the metric that was searched by comes first"
    assert rows.index("hr@10") < rows.index("coverage@10") < rows.index("0.2600")


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


# The command, and during the sweep.


def test_the_command_writes_it_for_a_sweep_that_has_ended(swept: Swept, tmp_path: Path):
    swept.trials(4)
    swept.export()
    done = call(command.main, "mine", "--storage", tmp_path / "runs")
    assert (done.code, done.err) == (0, "")
    assert done.out == f"report  {swept.storage.report}\n" and "5,678" in swept.storage.report.read_text()


def test_the_command_names_the_nearest_sweep_or_what_is_missing(swept: Swept, tmp_path: Path):
    done = call(command.main, "mien", "--storage", tmp_path / "runs")
    assert done.code == EXIT_USER_ERROR and "did you mean 'mine'?" in done.err
    done = call(command.main, "mine", "--storage", tmp_path / "runs")
    assert done.code == EXIT_USER_ERROR and "has no study" in done.err and "\n" not in done.err.strip()


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


# In a browser.


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
