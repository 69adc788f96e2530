"""A sweep that has ended, and its exported model."""

from __future__ import annotations

from tuning.results.best import Best
from tuning.tracking.links import Place

PLACE = Place(experiment_id="7", run_id="abc")


METRICS = {
    "metric": "ndcg@10", "validation": {"ndcg@10": 0.3}, "test": {"ndcg@10": 0.25}, "best_epoch": 3, "train_seconds": 9
}  # fmt: skip


def best(**more: object) -> Best:
    return Best(trial_id="a", point={"train.lr": 0.1}, finished=True, metrics=METRICS | more, place="runs/mine/best")
