"""The best value of each model of a sweep, and its cost."""

from __future__ import annotations

from datetime import datetime

import pytest

from tuning.plan.command_line import parse
from tuning.plan.new_plan import make_plan
from tuning.plan.sweep_plan import Plan
from tuning.results.by_model import by_model
from tuning.search.study_search import StudySearch


def plan_of(*args: str) -> Plan:
    return make_plan(parse(["--dataset", "beauty", *args])[0])


@pytest.fixture(scope="module")
def plan() -> Plan:
    return plan_of("--model", "fame,sasrec", "--trials", "6", "--epochs", "7", "--set", "model.dim=32")


def test_the_search_tries_all_models_and_the_results_say_what_each_reached(plan, tmp_path):
    search = StudySearch(plan.space, tmp_path / "study.log", trials=12)
    for number in range(12):
        point = search.suggest(f"{number:02d}")
        assert plan.space.problem(point) is None
        value = 0.2 if point["model.name"] == "sasrec" else 0.1
        result = {"epoch": 2, "ndcg@10": value, "best_ndcg@10": value, "finished": True}
        search.on_trial_complete(f"{number:02d}", result)
    first, second = by_model(search.record.trials(), datetime.now())
    assert (first.model, first.best.value, second.model, second.best.value) == ("sasrec", 0.2, "fame", 0.1)
    assert first.trials + second.trials == 12 and first.epochs == 2 * first.trials and first.trials > second.trials
