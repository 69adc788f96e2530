"""Settings given as keywords: `heads=4`, `text={"epochs": 10}` or `**{"text.epochs": 10}`."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any, cast

from fame.config import BackboneConfig, EvaluateConfig, TextConfig, TrainConfig
from fame.datasets import Dataset
from fame.errors import UserError, nearest
from fame.registry import models

SECTIONS: dict[str, type] = {
    "train": TrainConfig,
    "evaluate": EvaluateConfig,
    "text": TextConfig,
    "backbone": BackboneConfig,
}
"""Sections in which a plain name is looked up after those of the model, in this order."""
PLAIN = {"seed": "seed", "recipe": "recipe", "max_length": "data.max_length"}
"""Settings outside of these sections that have a plain name."""


def check_dataset(data: object) -> None:
    """Raise `UserError` for anything else than a dataset."""
    if not isinstance(data, Dataset):
        kind = type(data).__name__
        raise UserError(f"data is a {kind}; give fame.Dataset.from_pandas(…), .from_files(…) or .named(…)")


def dotted(model: str, settings: Mapping[str, Any], others: Iterable[str] = ()) -> dict[str, Any]:
    """Return settings by `section.key`.

    A plain name is a setting of the model, else of the first of `SECTIONS` that has it: `lr` is `train.lr`.
    Values are not checked here. Raises `UserError` for an unknown name, with the nearest of them and of `others`.

        >>> dotted("fame", {"heads": 4, "epochs": 12, "text": {"epochs": 10}, "backbone.lr": 0.01})
        {'model.heads': 4, 'train.epochs': 12, 'text.epochs': 10, 'backbone.lr': 0.01}
        >>> dotted("sasrec", {"head": 4})
        Traceback (most recent call last):
        fame.errors.UserError: unknown setting 'head': did you mean 'heads'? ...
    """
    sections: dict[str, Any] = {"model": cast(Any, models.get(model)).Config, **SECTIONS}
    keys = {
        field.name: f"{section}.{field.name}"
        for section, config in reversed(sections.items())
        for field in dataclasses.fields(config)
        if field.name != "name"
    }
    keys |= PLAIN
    found: dict[str, Any] = {}
    for name, value in settings.items():
        if name in sections and isinstance(value, Mapping):
            found |= {f"{name}.{key}": below for key, below in value.items()}
        elif name in keys or "." in name:
            found[keys.get(name, name)] = value
        else:
            raise UserError(f"unknown setting {name!r}: {nearest(name, [*keys, *others])}; docs/SETTINGS.md lists them")
    return found
