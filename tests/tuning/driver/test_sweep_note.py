"""The description of a sweep's run in MLflow."""

from __future__ import annotations

from tests.tuning.driver.ended import PLACE, best
from tuning.driver import sweep_note
from tuning.plan.sweep_plan import Plan
from tuning.storage.layout import Storage


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
