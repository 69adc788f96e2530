"""Names and texts as MLflow takes them."""

from __future__ import annotations

from tuning.tracking.runs import metric_name


def test_metric_names_are_valid() -> None:
    from mlflow.utils.validation import _validate_metric_name

    assert metric_name("best_ndcg@10") == "best_ndcg_at_10"
    for name in ("hr@5", "a(b)", "loss%", "items/s"):
        _validate_metric_name(metric_name(name))
