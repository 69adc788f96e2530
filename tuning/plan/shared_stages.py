"""How many runs of shared stages a space needs at most."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fame.artifacts import StageRecipe
from fame.config.tree import experiment_from_dict
from fame.errors import UserError
from fame.training.stages import recipes
from tuning.space import Space
from tuning.space.domains import Parameter


@dataclass(frozen=True, kw_only=True)
class Expected:
    """The runs of one shared stage that a space needs."""

    stage: str
    runs: int | None
    """Most different runs that the space needs; None if they cannot be counted."""
    deciding: tuple[str, ...]
    """Searched keys that decide the stage's result."""

    def text(self, trials: int) -> str:
        runs = trials if self.runs is None else min(self.runs, trials)
        shared = f"; trials that agree in {', '.join(self.deciding)} share one" if self.deciding else ", shared by all"
        return f"{self.stage}: at most {runs} run{'s' if runs != 1 else ''} for {trials} trials{shared}"


def expected(space: Space) -> list[Expected]:
    """Return the stages whose results trials of a space can share, in order."""
    points: dict[tuple[str, ...], dict[str, Any]] = {}
    # Every stage of the space occurs at some end of some parameter.
    ends = ({key: end} for key, parameter in space.search.items() for end in parameter.domain.ends())
    for point in ({}, *ends):
        points.setdefault(tuple(recipe.stage for recipe in _recipes(space, point)), point)
    # A stage starts from the stage before, which decides its result. So take the point that switches all of them on.
    every = {key: value for point in points.values() for key, value in point.items()}
    found = [_recipes(space, point) for point in (*points.values(), every)]
    deciding: dict[str, set[str]] = {}
    for recipe in itertools.chain(*sorted(found, key=len, reverse=True)):
        deciding.setdefault(recipe.stage, set()).update(_settings(recipe))
    return [_expected(space, stage, keys) for stage, keys in deciding.items()]


def _expected(space: Space, stage: str, settings: set[str]) -> Expected:
    """Return the runs of a stage whose result these settings decide."""
    deciding = tuple(key for key in space.search if key in settings)
    search = _with_conditions(space, deciding)
    others = space.search.keys() - search.keys()
    constraints = tuple(c for c in space.constraints if others.isdisjoint(c.names()))
    part = dataclasses.replace(space, search=search, constraints=constraints, start=())
    runs = None
    if part.is_small():
        found = [r for point in part.points() for r in _recipes(part, point) if r.stage == stage]
        runs = len({repr(sorted(_settings(one).items())) for one in found})
    return Expected(stage=stage, runs=runs, deciding=deciding)


def _settings(recipe: StageRecipe) -> dict[str, Any]:
    """Return the settings that decide a result, and those that decide the stage before."""
    return {**(_settings(recipe.before) if recipe.before else {}), **recipe.settings}


def _with_conditions(space: Space, keys: Sequence[str]) -> dict[str, Parameter]:
    """Return the parameters of these keys, and of the keys that decide whether they are searched."""
    wanted = set(keys)
    for key in reversed(list(space.search)):  # a condition's key comes before the keys that it is on
        if key in wanted:
            wanted |= {condition.key for condition in space.search[key].when if condition.key in space.search}
    return {key: parameter for key, parameter in space.search.items() if key in wanted}


def _recipes(space: Space, point: Mapping[str, Any]) -> list[StageRecipe]:
    """Return the recipes that trials at a point can share; none for a point that is not allowed."""
    if space.constraint_problem(point):
        return []
    try:
        return recipes(experiment_from_dict(space.experiment(point)))
    except UserError:
        return []
