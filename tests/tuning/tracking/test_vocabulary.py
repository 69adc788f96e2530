"""One vocabulary of metrics and parameters for sweeps, trials and registered models."""

from __future__ import annotations

import pytest

from fame.config.tree import experiment_from_dict
from tuning.tracking.vocabulary import exported_metrics, latest, metric_name, settings, valid_name

NAMES = {
    "ndcg@10": "validation/ndcg_10",
    "hr@5": "validation/hr_5",
    "test/ndcg@10": "test/ndcg_10",
    "best_ndcg@10": "best/ndcg_10",
    "best_epoch": "best/epoch",
    "loss": "train/loss",
    "train_seconds": "time/train_seconds",
    "standard_error": "validation/standard_error",
    "items_per_second": "time/items_per_second",
    "stage_backbone_seconds_saved": "stage/backbone_seconds_saved",
    "system/cpu_utilization_percentage": "system/cpu_utilization_percentage",
}


@pytest.mark.parametrize(("name", "expected"), NAMES.items())
def test_a_metric_has_a_section(name: str, expected: str) -> None:
    assert metric_name(name) == metric_name(expected) == expected


def test_names_are_valid() -> None:
    from mlflow.utils.validation import _validate_metric_name

    for name in ("hr@5", "a(b)", "loss%", "items/s", *NAMES):
        _validate_metric_name(metric_name(name))
        _validate_metric_name(valid_name(name))


def test_a_number_is_found_under_its_early_name() -> None:
    assert latest({"train_seconds": 1.0}, "train_seconds") == 1.0
    assert latest({"train_seconds": 1.0, "time/train_seconds": 2.0}, "train_seconds") == 2.0
    assert latest({}, "train_seconds") is None


def test_settings_are_all_of_a_training_with_the_models_name_first() -> None:
    point = {"model.heads": 4, "data.core": 5}
    found = settings(
        experiment_from_dict({"data": {"core": 5, "path": "/home/me/x.csv"}, "model": {"heads": 4}}), point
    )
    assert next(iter(found.items())) == ("model.name", "fame") and found["model.heads"] == 4
    assert {"model.dim", "train.lr", "train.loss", "seed", "data.max_length", "data.core"} <= found.keys()
    assert None not in found.values() and "data.path" not in found


def test_the_metrics_of_an_exported_model() -> None:
    seeds = {part: {"ndcg@10": {"mean": 0.2, "sd": 0.1}} for part in ("validation", "test")} | {"seeds": [1, 2]}
    exported = {"metric": "ndcg@10", "validation": {"ndcg@10": 0.3}, "test": {"ndcg@10": 0.25}, "seeds": seeds}
    found = exported_metrics(exported | {"best_epoch": 4, "train_seconds": 7})
    assert found == {
        "validation/ndcg_10": 0.3, "validation/ndcg_10_mean": 0.2, "validation/ndcg_10_sd": 0.1,
        "test/ndcg_10": 0.25, "test/ndcg_10_mean": 0.2, "test/ndcg_10_sd": 0.1,
        "best/ndcg_10": 0.3, "best/epoch": 4.0, "time/train_seconds": 7.0,
    }  # fmt: skip
