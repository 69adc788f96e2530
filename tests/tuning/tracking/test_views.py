"""The view of a sweep's trials that MLflow's page opens."""

from __future__ import annotations

import json

from tuning.tracking.views import TAG, VIEW_LENGTH, view_of


def test_the_view_has_the_sweeps_runs_best_first_with_their_numbers_and_searched_settings() -> None:
    assert json.loads(view_of("mine", "ndcg@10", ["coverage@10"], ["train.lr", "model.heads"])) == {
        "searchFilter": "tags.sweep = 'mine'",
        "orderByKey": "metrics.`best/ndcg_10`",
        "orderByAsc": False,
        "selectedColumns": [
            *("attributes.`Duration`", "tags.`status`"),
            *("metrics.`best/ndcg_10`", "metrics.`best/epoch`", "metrics.`test/ndcg_10`"),
            *("metrics.`validation/coverage_10`", "params.`train.lr`", "params.`model.heads`"),
        ],
    }


def test_a_view_is_never_longer_than_a_tag() -> None:
    text = view_of("mine", "ndcg@10", [], [f"model.setting_{number}" for number in range(900)])
    assert 0.9 * VIEW_LENGTH < len(text) <= VIEW_LENGTH and "setting_0`" in text and "setting_899" not in text


def test_the_page_of_the_installed_mlflow_knows_the_tag_and_its_columns() -> None:
    from pathlib import Path

    import mlflow.server

    build = Path(mlflow.server.__file__).parent / "js" / "build" / "static" / "js"
    scripts = [path.read_text(encoding="utf-8") for path in build.glob("*.js")]
    for word in (TAG, "viewStateShareKey", "selectedColumns", "orderByKey", "searchFilter"):
        assert any(word in script for script in scripts), word
