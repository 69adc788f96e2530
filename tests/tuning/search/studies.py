"""Searches over small spaces, driven as Tune drives them."""

from __future__ import annotations

import math
from pathlib import Path

import optuna
from ray.tune.search import Searcher

from tuning.search.study_search import StudySearch
from tuning.space.file import space_from_dict
from tuning.study.trials import RAY_ID

TREE = {
    "base": {"model": {"name": "fame"}},
    "search": {
        "model.heads": {"choices": [1, 2, 3, 4, 6]},
        "model.dim": {"choices": [12, 16]},
        "train.lr": {"low": 1e-4, "high": 1e-2, "log": True},
        "model.dropout": {"low": 0.1, "high": 0.6, "step": 0.1},
        "backbone.epochs": {"choices": [0, 5]},
        "backbone.lr": {"low": 1e-4, "high": 1e-2, "log": True, "when": {"backbone.epochs": {"above": 0}}},
    },
    "constraints": ["model.heads divides model.dim"],
    "start": [{"model.heads": 2, "model.dim": 16}, {"model.heads": 3, "model.dim": 12, "backbone.epochs": 5}],
}


FINITE = {
    "search": {
        "model.heads": {"choices": [1, 2, 3]},
        "model.dim": {"choices": [8, 12]},
        "backbone.epochs": {"choices": [0, 5]},
        "backbone.query": {"choices": ["copy", "fresh"], "when": {"backbone.epochs": 5}},
    },
    "constraints": ["model.heads divides model.dim"],
}


METRIC = "ndcg@10"


def make(path: Path, tree: dict = TREE, **options) -> StudySearch:
    return StudySearch(space_from_dict(tree), path / "sweep" / "study.journal", **{"trials": 100, **options})


def quality(point: dict) -> float:
    return 0.05 - 0.01 * abs(math.log10(point.get("train.lr", 1e-3)) + 2.5) - 0.001 * point["model.heads"]


def finish(search: StudySearch, trial_id: str, value: float, epochs: int = 2) -> None:
    for epoch in range(1, epochs + 1):
        result = {"epoch": epoch, METRIC: value, f"best_{METRIC}": value, "finished": epoch == epochs}
        search.on_trial_result(trial_id, result)
    search.on_trial_complete(trial_id, result)


def run(search: StudySearch, count: int, first: int = 0) -> list[dict]:
    points = []
    for number in range(first, first + count):
        point = search.suggest(f"t{number}")
        if point == Searcher.FINISHED:
            break
        points.append(point)
        finish(search, f"t{number}", quality(point))
    return points


def stored_trial(search: StudySearch, trial_id: str) -> optuna.trial.FrozenTrial:
    return next(t for t in search.study.trials if t.user_attrs.get(RAY_ID) == trial_id)


AIMS = (METRIC, "coverage@10")


def reached(search: StudySearch, trial_id: str, epoch: int, value: float, **numbers: float) -> dict:
    result = {"epoch": epoch, METRIC: value, f"best_{METRIC}": value, "finished": epoch == 2, **numbers}
    search.on_trial_result(trial_id, result)
    return result
