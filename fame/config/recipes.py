"""Named ways to train, which an experiment or a search space refers to as `recipe: NAME`.

A recipe is a set of settings. Those that the model does not have are left out. What a file says beside
`recipe` wins over it; `--set recipe=NAME` wins over the file.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Mapping
from typing import Any

from fame.errors import UserError, nearest
from fame.registry import models

LINEAGE = {
    "mode": "prefix",
    "batch_size": 256,
    "optimizer": "adam",
    "lr": 5e-4,
    "schedule": "constant",
    "epochs": 200,
    "patience": 10,
}

RECIPES: dict[str, dict[str, dict[str, Any]]] = {
    # SASRec's descendants on Amazon's reviews (DuoRec, BSARec, RecBoard) are trained like this: one sample for
    # each prefix, positions counted from the newest item, a small constant rate, up to 200 epochs.
    "lineage": {
        "model": {"positions": "absolute_right", "filter": "whole", "init": "xavier"},
        "train": LINEAGE,
    },
    # FAME as its paper prints it (Eq. 5, 7-17, §4.4.2), trained like its baselines. docs/PAPER.md says what the paper
    # leaves open, and what is chosen here.
    "paper": {
        "model": {
            "positions": "absolute_right",
            "activation": "relu",
            "inner": 1,
            "facet_norm": "facet",
            "init": "xavier",
        },
        "train": LINEAGE,
        "backbone": {"epochs": 200, "lr": 5e-4, "query": "fresh"},
    },
}


def with_recipe(tree: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of an experiment's tree with the settings of its `recipe` written out.

    Raises `UserError` for a name that is not a recipe's.
    """
    result = copy.deepcopy(dict(tree))
    name = result.pop("recipe", None)
    if name is None:
        return result
    model = result.get("model") or {}
    for section, settings in settings_of(name, str(model.get("name", "fame"))).items():
        result[section] = {**settings, **(result.get(section) or {})}
    return result


def settings_of(name: Any, model: str) -> dict[str, dict[str, Any]]:
    """The recipe's settings that `model` has, by section. Raises `UserError` for an unknown name."""
    if name not in RECIPES:
        raise UserError(f"recipe = {name!r}: {nearest(str(name), RECIPES)}")
    known = {field.name for field in dataclasses.fields(models.get(model).Config)}
    sections = copy.deepcopy(RECIPES[name])
    sections["model"] = {key: value for key, value in sections["model"].items() if key in known}
    return sections
