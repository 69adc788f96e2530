"""A trial's writes to MLflow: once, under the names of today, and not where a user has deleted it."""

from __future__ import annotations

from pathlib import Path

import pytest

from fame.config.tree import experiment_from_dict
from fame.datasets import load_dataset
from fame.training.fit import fit
from tests.commands import TINY
from tests.tuning.tracking.conftest import METRIC, Open
from tests.tuning.tracking.seen import Seen
from tuning.tracking.vocabulary import valid_name
from tuning.trial.checkpoints import Checkpoints
from tuning.trial.loop import reported_metrics

pytestmark = pytest.mark.filterwarnings("ignore:The `(json|parse_obj)` method:DeprecationWarning")  # of Ray Train


def test_a_run_that_a_user_deletes_stays_deleted_and_disturbs_nothing(
    open_sweep: Open, uri: str, experiment: str, caplog: pytest.LogCaptureFixture
) -> None:
    sweep = open_sweep("s")
    for trial in ("a", "b"):
        sweep.begin(trial)
    assert sweep.projection.update()
    seen = Seen(uri, experiment, "s")
    seen.client.delete_run(seen.child("a").info.run_id)
    for epoch in (1, 2):
        for trial in ("a", "b"):
            sweep.report(trial, epoch, 0.1, loss=1.0)
        assert sweep.projection.update()
    assert caplog.text.count("MLflow refuses a write of trial a (") == 1
    assert seen.history("b", "train/loss") == [(1, 1.0), (2, 1.0)]
    again = open_sweep("s", resume=True)
    again.end("a", "finished")
    assert again.projection.update()
    assert [run.data.tags["trial"] for run in seen.children()] == ["b"]


def test_a_store_that_lacks_epochs_gets_them_from_the_checkpoints(
    open_sweep: Open, uri: str, experiment: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAME_DATA", str(tmp_path / "data"))
    tiny = experiment_from_dict(TINY)
    (tmp_path / "fit").mkdir()
    first, reports = open_sweep("s"), []
    checkpoints = Checkpoints(str(first.folder), "known", 0)
    for report in fit(tiny, load_dataset(tiny.data).sequences, tmp_path / "fit"):
        reports.append(reported_metrics(report, METRIC))
        checkpoints.add(tmp_path / "fit", reports[-1])
    curve = {report["epoch"]: report[METRIC] for report in reports}
    for trial in ("same", "known", "lacking", "deleted"):
        first.begin(trial)
        first.report(trial, 1, curve[1], loss=7.0)
    first.report("same", 2, curve[2])
    first.end("same", "finished")
    assert first.projection.update()
    first.projection.close()  # killed: the study goes on without it
    for trial in ("known", "lacking", "deleted"):
        first.report(trial, 2, curve[2])
        first.end(trial, "finished" if trial == "known" else "pruned")
    first.begin("missing")
    first.end("missing", "failed")
    seen = Seen(uri, experiment, "s")
    seen.client.delete_run(seen.child("deleted").info.run_id)
    before = seen.client.get_run(seen.child("same").info.run_id).to_dictionary()

    for _ in range(2):  # the second time there is nothing to do
        again = open_sweep("s", resume=True)
        assert again.projection.update() and again.projection.behind == 0
        assert seen.statuses() == {
            "same": ("FINISHED", "finished"),
            "known": ("FINISHED", "finished"),
            "lacking": ("FINISHED", "pruned"),
            "missing": ("FAILED", "failed"),
        }
        assert seen.client.get_run(seen.child("same").info.run_id).to_dictionary() == before
        for trial in ("known", "lacking"):
            assert seen.history(trial, "validation/ndcg_10") == [(epoch, curve[epoch]) for epoch in (1, 2)]
        assert seen.history("known", "train/loss") == [(1, 7.0), (2, reports[1]["loss"])]
        assert seen.history("lacking", "train/loss") == [(1, 7.0)]  # it has no checkpoint
        assert seen.child("missing").data.params == {"x": "1"}
        assert seen.child("known").info.run_name == f"known · {max(curve[1], curve[2]):.4f}"


@pytest.mark.parametrize("ends", [False, True])
def test_a_sweep_of_an_earlier_version_gets_the_names_of_this_one(
    open_sweep: Open, uri: str, experiment: str, monkeypatch: pytest.MonkeyPatch, ends: bool
) -> None:
    with monkeypatch.context() as earlier:
        for module in ("runs", "writer"):
            earlier.setattr(f"tuning.tracking.{module}.metric_name", valid_name)
        first = open_sweep("s")
        first.begin("a")
        first.report("a", 1, 0.1, loss=1.0)
        if ends:
            first.end("a", "finished")
        assert first.projection.update()
        first.projection.close()
    seen = Seen(uri, experiment, "s")
    assert seen.child("a").data.metrics == {"ndcg_at_10": 0.1, "loss": 1.0}
    again = open_sweep("s", resume=True)
    if not ends:
        again.end("a", "finished")
    assert again.projection.update() and again.projection.behind == 0
    assert seen.history("a", "validation/ndcg_10") == seen.history("a", "ndcg_at_10") == [(1, 0.1)]
    assert seen.statuses() == {"a": ("FINISHED", "finished")}
