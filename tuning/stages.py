"""Stages that a sweep's trials share: how many runs the space needs at most, and how many there were.

A trial reports how it came to the stages that it shares; the study keeps that, so that it is there
after a restart, too.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fame.artifacts import Recipe
from fame.config_tree import experiment_from_dict
from fame.errors import UserError
from fame.pipeline import recipes
from fame.sharing import StageUse, read_uses
from tuning.schedulers import SCHEDULERS
from tuning.space import Space
from tuning.space.domains import Parameter

if TYPE_CHECKING:
    import optuna
    from optuna.trial import FrozenTrial

    from tuning.plan import Plan

ATTRIBUTE = "stages"
"""Of a trial in the study: its `Uses`."""


@dataclass(frozen=True, kw_only=True)
class Uses:
    """What sharing stages came to, in one trial or a sweep; the fields are metrics in MLflow."""

    stage_computed: int = 0
    """Stages that were computed, and are there for others."""
    stage_shared: int = 0
    """Stages that were taken over."""
    stage_rebuilt: int = 0
    """Those computed in place of a damaged one."""
    stage_seconds_saved: float = 0.0
    """Training and evaluation that was not done again."""
    stage_seconds_waited: float = 0.0
    """Time that trials waited for others to compute a stage."""

    @classmethod
    def of(cls, uses: Sequence[StageUse]) -> Uses:
        return cls(
            stage_computed=sum(not use.shared for use in uses),
            stage_shared=sum(use.shared for use in uses),
            stage_rebuilt=sum(use.rebuilt for use in uses),
            stage_seconds_saved=sum(use.seconds for use in uses if use.shared),
            stage_seconds_waited=sum(use.waited for use in uses),
        )

    def __add__(self, other: Uses) -> Uses:
        pairs = zip(dataclasses.astuple(self), dataclasses.astuple(other), strict=True)
        return Uses(**dict(zip(FIELDS, (a + b for a, b in pairs), strict=True)))

    def __str__(self) -> str:
        rebuilt = f" ({self.stage_rebuilt} in place of a damaged one)" if self.stage_rebuilt else ""
        waited = f", {self.stage_seconds_waited:.1f} s waited" if self.stage_seconds_waited else ""
        return (
            f"{self.stage_computed} computed{rebuilt}, {self.stage_shared} shared: "
            f"{self.stage_seconds_saved:.1f} s of training saved{waited}"
        )


FIELDS = [f.name for f in dataclasses.fields(Uses)]


def reported_uses(folder: Path) -> dict[str, float]:
    """What a trial adds to its reports, once it is through with a shared stage."""
    uses = read_uses(folder)
    return dataclasses.asdict(Uses.of(uses)) if uses else {}


def note_uses(storage: optuna.storages.BaseStorage, trial: FrozenTrial, result: Mapping[str, Any]) -> None:
    """Keep in the study what a trial reports of its stages."""
    uses = {key: result[key] for key in FIELDS if key in result}
    if uses and trial.user_attrs.get(ATTRIBUTE) != uses:
        storage.set_trial_user_attr(trial._trial_id, ATTRIBUTE, uses)


def total(study: optuna.Study) -> Uses | None:
    """Over all trials; None if none came to the end of a stage that others can share."""
    uses = [Uses(**t.user_attrs[ATTRIBUTE]) for t in study.get_trials(deepcopy=False) if ATTRIBUTE in t.user_attrs]
    return sum(uses, start=Uses()) if uses else None


@dataclass(frozen=True, kw_only=True)
class Expected:
    """What is known of a space's shared stages before a sweep."""

    stage: str
    runs: int | None
    """Different runs that the space needs at most; None if they cannot be counted."""
    deciding: tuple[str, ...]
    """Searched keys that decide the stage's result."""

    def text(self, trials: int) -> str:
        runs = trials if self.runs is None else min(self.runs, trials)
        shared = f"; trials that agree in {', '.join(self.deciding)} share one" if self.deciding else ", shared by all"
        return f"{self.stage}: at most {runs} run{'s' if runs != 1 else ''} for {trials} trials{shared}"


def expected(space: Space) -> list[Expected]:
    """The stages whose results trials of a space can share, in order."""
    found = {recipe.stage: recipe for point in _some_points(space) for recipe in _recipes(space, point)}
    return [_expected(space, recipe) for recipe in found.values()]


def lines(plan: Plan) -> list[str]:
    """What a plan says of its stages."""
    if SCHEDULERS[plan.options.scheduler].changes:
        return []
    return [one.text(plan.trials) for one in expected(plan.space)]


def _expected(space: Space, recipe: Recipe) -> Expected:
    deciding = tuple(key for key in space.search if key in _settings(recipe))
    search = _with_conditions(space, deciding)
    others = space.search.keys() - search.keys()
    constraints = tuple(c for c in space.constraints if others.isdisjoint(c.names()))
    part = dataclasses.replace(space, search=search, constraints=constraints, start=())
    runs = None
    if part.is_small():
        found = [r for point in part.points() for r in _recipes(part, point) if r.stage == recipe.stage]
        runs = len({repr(sorted(_settings(one).items())) for one in found})
    return Expected(stage=recipe.stage, runs=runs, deciding=deciding)


def _settings(recipe: Recipe) -> dict[str, Any]:
    """What decides a result, with what decides that which it starts from."""
    return {**(_settings(recipe.before) if recipe.before else {}), **recipe.settings}


def _with_conditions(space: Space, keys: Sequence[str]) -> dict[str, Parameter]:
    """The parameters of these keys, and of those that decide whether they are searched."""
    wanted = set(keys)
    for key in reversed(list(space.search)):  # a condition's key comes before the keys that it is on
        if key in wanted:
            wanted |= {condition.key for condition in space.search[key].when if condition.key in space.search}
    return {key: parameter for key, parameter in space.search.items() if key in wanted}


def _some_points(space: Space) -> list[dict[str, Any]]:
    """Points among which every stage occurs that the space has: each end of each parameter."""
    return [{}, *({key: end} for key, parameter in space.search.items() for end in parameter.domain.ends())]


def _recipes(space: Space, point: Mapping[str, Any]) -> list[Recipe]:
    """What trials at a point can share; nothing for a point that is not allowed."""
    if space.constraint_problem(point):
        return []
    try:
        return recipes(experiment_from_dict(space.experiment(point)))
    except UserError:
        return []
