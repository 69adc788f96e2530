"""Links to MLflow's pages of a sweep."""

from __future__ import annotations

import dataclasses
from urllib.parse import parse_qs, unquote

from tuning.tracking.links import Place, address

PLACE = Place(experiment_id="7", run_id="abc")


def test_the_trials_are_filtered_and_best_first_on_the_page_for_training() -> None:
    fragment, _, query = PLACE.trials("mine", "ndcg@10", compareRunsMode="CHART").partition("?")
    assert fragment == "#/experiments/7/runs" and "'" not in query and "+" not in query
    assert {key: unquote(value) for key, (value,) in parse_qs(query).items()} == {
        "workflowType": "machine_learning",
        "searchFilter": "tags.sweep = 'mine'",
        "orderByKey": "metrics.`best/ndcg_10`",
        "orderByAsc": "false",
        "compareRunsMode": "CHART",
    }


def test_the_trials_of_a_sweep_with_a_view_are_shown_by_it() -> None:
    _, _, query = dataclasses.replace(PLACE, view="abc").trials("mine", "ndcg@10").partition("?")
    assert query == "workflowType=machine_learning&viewStateShareKey=abc", "MLflow ignores the view beside a search"


def test_a_trial_is_not_folded_below_its_sweep() -> None:
    query = parse_qs(PLACE.trial("f00", "ndcg@10").partition("?")[2])
    assert query["searchFilter"] == ["tags.trial = 'f00'"] and query["orderByKey"] == ["metrics.`best/ndcg_10`"]


def test_a_place_is_kept_as_plain_values() -> None:
    assert Place.of(PLACE.to_dict()) == PLACE and Place.of(None) is None


def test_a_database_is_served_on_this_machine() -> None:
    assert address("sqlite:///mlflow.db") == "http://127.0.0.1:5000/"
    assert address("https://host/mlflow") == address("https://host/mlflow/") == "https://host/mlflow/"
