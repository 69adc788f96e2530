"""A small search space, and changes of it."""

from __future__ import annotations

import copy

TREE = {
    "base": {"model": {"name": "fame"}, "train": {"epochs": 3}},
    "search": {
        "model.heads": {"choices": [1, 2, 3, 4]},
        "model.dim": {"choices": [12, 16]},
        "model.dropout": {"low": 0.1, "high": 0.6, "step": 0.1},
        "backbone.epochs": {"choices": [0, 5]},
        "backbone.lr": {"low": "1e-4", "high": 1e-2, "log": True, "when": {"backbone.epochs": {"above": 0}}},
    },
    "constraints": ["model.heads divides model.dim"],
    "start": [{"model": {"heads": 2, "dim": 16}}, {"model.heads": 3, "model.dim": 12, "backbone.epochs": 5}],
}


def changed(**sections) -> dict:
    return {**copy.deepcopy(TREE), **sections}


def searching(**keys) -> dict:
    return changed(search={**TREE["search"], **keys})
