"""Stages that a sweep's trials share: how many runs the space needs at most, and how many there were.

A trial reports how it came to the stages that it shares; the study keeps that, so that it is there
after a restart, too.
"""

from __future__ import annotations

import dataclasses
import itertools
import re
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
"""Of a trial in the study: what it reported of its stages."""


@dataclass(frozen=True, kw_only=True)
class Uses:
    """What sharing one stage came to, in one trial or a sweep."""

    computed: int = 0
    """Runs of it, whose results are there for others."""
    shared: int = 0
    """Trials that took it over."""
    rebuilt: int = 0
    """Runs in place of a damaged result."""
    seconds_saved: float = 0.0
    """Training and evaluation that was not done again."""
    seconds_waited: float = 0.0
    """Time that trials waited for others to compute it."""

    @classmethod
    def of(cls, use: StageUse) -> Uses:
        return cls(
            computed=not use.shared,
            shared=use.shared,
            rebuilt=use.rebuilt,
            seconds_saved=use.seconds if use.shared else 0.0,
            seconds_waited=use.waited,
        )

    def __add__(self, other: Uses) -> Uses:
        pairs = zip(dataclasses.astuple(self), dataclasses.astuple(other), strict=True)
        return Uses(**dict(zip(FIELDS, (a + b for a, b in pairs), strict=True)))

    def __str__(self) -> str:
        rebuilt = f" ({self.rebuilt} in place of a damaged one)" if self.rebuilt else ""
        waited = f", {self.seconds_waited:.1f} s waited" if self.seconds_waited else ""
        needed = f"{self.computed + self.shared} needed, {self.computed} computed{rebuilt}, {self.shared} shared"
        return f"{needed}: {self.seconds_saved:.1f} s of training saved{waited}"


FIELDS = [f.name for f in dataclasses.fields(Uses)]
_METRIC = re.compile(rf"stage_(.+)_({'|'.join(FIELDS)})")


def metrics(uses: Mapping[str, Uses]) -> dict[str, float]:
    """Uses by stage as plain figures, `stage_<stage>_<field>`: in reports, the study and MLflow."""
    return {f"stage_{stage}_{key}": float(value) for stage, one in uses.items() for key, value in vars(one).items()}


def from_metrics(values: Mapping[str, Any]) -> dict[str, Uses]:
    """The inverse of `metrics`; other figures are passed over."""
    found: dict[str, dict[str, Any]] = {}
    for name, value in values.items():
        if match := _METRIC.fullmatch(name):
            found.setdefault(match[1], {})[match[2]] = value if match[2].startswith("seconds") else int(value)
    return {stage: Uses(**fields) for stage, fields in found.items()}


def reported_uses(folder: Path) -> dict[str, float]:
    """What a trial adds to its reports, once it is through with a shared stage."""
    return metrics({use.stage: Uses.of(use) for use in read_uses(folder)})


def note_uses(storage: optuna.storages.BaseStorage, trial: FrozenTrial, result: Mapping[str, Any]) -> None:
    """Keep in the study what a trial reports of its stages."""
    uses = metrics(from_metrics(result))
    if uses and trial.user_attrs.get(ATTRIBUTE) != uses:
        storage.set_trial_user_attr(trial._trial_id, ATTRIBUTE, uses)


def total(study: optuna.Study) -> dict[str, Uses]:
    """By stage, over all trials; without those that no trial came to the end of."""
    found: dict[str, Uses] = {}
    for trial in study.get_trials(deepcopy=False):
        for stage, uses in from_metrics(trial.user_attrs.get(ATTRIBUTE, {})).items():
            found[stage] = found.get(stage, Uses()) + uses
    return found


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
    points: dict[tuple[str, ...], dict[str, Any]] = {}
    for point in _some_points(space):
        points.setdefault(tuple(recipe.stage for recipe in _recipes(space, point)), point)
    # Stages that only searched keys switch on: all of them, since what one starts from decides its result, too.
    every = {key: value for point in points.values() for key, value in point.items()}
    found = [_recipes(space, point) for point in (*points.values(), every)]
    deciding: dict[str, set[str]] = {}
    for recipe in itertools.chain(*sorted(found, key=len, reverse=True)):
        deciding.setdefault(recipe.stage, set()).update(_settings(recipe))
    return [_expected(space, stage, keys) for stage, keys in deciding.items()]


def lines(plan: Plan) -> list[str]:
    """What a plan says of its stages."""
    if SCHEDULERS[plan.options.scheduler].changes:
        return []
    return [one.text(plan.trials) for one in expected(plan.space)]


def _expected(space: Space, stage: str, settings: set[str]) -> Expected:
    """Of a stage whose result these settings decide."""
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
