"""Several models in one space: the model is a choice, and each model has its own keys (`sasrec/train.lr`)."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from itertools import chain, zip_longest

from tuning.space.domains import Choices, Condition, Parameter
from tuning.space.space import MODEL, MODELS, Space

SHORTLIST = ("fame_memory", "sasrec_memory")
"""Models of `--model auto`: FAME and SASRec, which are level (docs/RESULTS.md), each with a memory from 0 on."""


def merge(spaces: Mapping[str, Space]) -> Space:
    """Return the space in which a trial has one of these models. `Space.members` has the parts again."""
    search = {MODEL: Parameter(Choices(tuple(spaces)))}
    for name, space in spaces.items():
        for key, parameter in space.search.items():
            when = tuple(dataclasses.replace(c, key=f"{name}/{c.key}") for c in parameter.when)
            own = Condition(MODEL, "in", (name,))
            search[f"{name}/{key}"] = dataclasses.replace(parameter, when=(own, *when))
    starts = [
        [{MODEL: name, **{f"{name}/{key}": value for key, value in point.items()}} for point in space.start]
        for name, space in spaces.items()
    ]
    return Space(
        base={MODELS: {name: dict(space.base) for name, space in spaces.items()}},
        search=search,
        constraints=tuple(
            dataclasses.replace(one, left=_prefixed(name, one.left), right=_prefixed(name, one.right))
            for name, space in spaces.items()
            for one in space.constraints
        ),
        start=tuple(point for point in chain(*zip_longest(*starts)) if point is not None),
        source=", ".join(spaces),
    )


def _prefixed(name: str, side: str | float) -> str | float:
    return f"{name}/{side}" if isinstance(side, str) else side
