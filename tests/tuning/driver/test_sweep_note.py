"""The description of a sweep's run in MLflow."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from tuning.driver import sweep_note
from tuning.plan.command_line import parse
from tuning.plan.new_plan import make_plan
from tuning.plan.sweep_plan import Plan
from tuning.results import next_steps
from tuning.results.best import Best
from tuning.storage.layout import Storage
from tuning.tracking.links import Place

PLACE = Place(experiment_id="7", run_id="abc")


METRICS = {
    "metric": "ndcg@10", "validation": {"ndcg@10": 0.3}, "test": {"ndcg@10": 0.25}, "best_epoch": 3, "train_seconds": 9
}  # fmt: skip


def best(**more: object) -> Best:
    return Best(trial_id="a", point={"train.lr": 0.1}, finished=True, metrics=METRICS | more, place="runs/mine/best")


@pytest.fixture
def plan() -> Plan:
    return make_plan(parse(["--name", "mine"])[0])


@pytest.fixture
def storage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Storage:
    catalogue = SimpleNamespace(ids=[1, 2, 3, 4], counts=[1, 4, 3, 2])
    monkeypatch.setattr(next_steps, "load_catalogue", lambda folder: catalogue)
    return Storage.of(str(tmp_path / "runs"), "mine")


def test_the_description_has_the_result_the_charts_and_the_commands(plan: Plan, storage: Storage) -> None:
    note = sweep_note.at_end(plan, storage, PLACE, best(), False)
    assert "**fame** on **ml-latest-small**" in note and "--resume" not in note
    assert note.split("\n\n")[1] == "validation ndcg@10 **0.3000** · test ndcg@10 **0.2500**"
    assert note.split("\n\n")[2].startswith("[Trials, best first]")
    assert "| metric | validation | test |\n| --- | --- | --- |\n| ndcg@10 | 0.3000 | 0.2500 |" in note
    assert "- `train.lr`: 0.1" in note and "[Charts](#/experiments/7/runs?" in note and "compareRunsMode=CHART" in note
    for command in ("-m tuning.dashboards --name mine", "-m fame.train --config ", "--history 2,3,4"):
        assert command in note
    assert "8 trials of at most " in sweep_note.at_start(plan, storage, PLACE)


def test_the_description_shows_the_curves_as_a_picture(plan: Plan, storage: Storage) -> None:
    picture = "![Learning curves](get-artifact?path=curves.png&run_uuid=abc)"
    storage.best.mkdir(parents=True)
    assert picture not in sweep_note.at_end(plan, storage, PLACE, best(), False)
    storage.curves.write_bytes(b"PNG")
    assert sweep_note.at_end(plan, storage, PLACE, best(), False).split("\n\n")[3] == picture
