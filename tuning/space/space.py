"""The search space of a sweep over the experiment's settings.

A `point` is a flat dictionary from searched keys to values. Keys whose conditions do not hold are left out. The
experiment's own rules are constraints, too.
"""

from __future__ import annotations

import copy
import math
import random
from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, TypeVar

from fame.config.recipes import with_recipe
from fame.config.tree import experiment_from_dict, flatten, set_key, to_dict
from fame.errors import UserError
from tuning.space.domains import Condition, Constraint, Domain, Parameter, typed

MAX_GRID = 5_000
"""Most configurations that are listed one by one. A larger space is sampled."""


MODEL, MODELS = "model.name", "models"
"""The key that chooses among several models, and the part of `base` with the settings of each."""
Line = TypeVar("Line", bound=Hashable)


def plain(key: str) -> str:
    """Return a key without the model that it belongs to: `train.lr` for `sasrec/train.lr`."""
    return key.rpartition("/")[2]


def settings_at(base: Mapping[str, Any], point: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of the trial at `point`, as nested dictionaries."""
    if (models := base.get(MODELS)) is not None:
        base = models[point.get(MODEL, next(iter(models)))]
    tree = copy.deepcopy(dict(base))
    for key, value in point.items():
        set_key(tree, plain(key), value)
    return tree


@dataclass(frozen=True)
class Space:
    """The settings that a sweep searches. `tuning.space.file` builds and checks it."""

    base: Mapping[str, Any]
    """Settings of every trial: part of an experiment, as nested dictionaries."""
    search: Mapping[str, Parameter]
    constraints: tuple[Constraint, ...] = ()
    start: tuple[Mapping[str, Any], ...] = ()
    """Complete first points."""
    source: str = field(default="space", compare=False)
    """The file, for messages."""
    lines: Mapping[str, int] = field(default_factory=dict, compare=False)
    """Line of each key in the file, for messages."""

    def place(self, key: str) -> str:
        """Where a searched key stands."""
        line = self.lines.get(f"search.{key}")
        return f"{self.source}{f', line {line}' if line else ''}: search.{key}"

    @property
    def model(self) -> str:
        return str((self.base.get("model") or {}).get("name", "fame"))

    def experiment(self, point: Mapping[str, Any]) -> dict[str, Any]:
        """Return the settings of the trial at `point`, as nested dictionaries."""
        return settings_at(self.base, point)

    def epochs(self, point: Mapping[str, Any]) -> tuple[int, int]:
        """Return the most epochs of the backbone and of the model itself, of the trial at `point`."""
        one = self.members.get(point.get(MODEL, ""), self)
        settings = one.defaults | flatten(with_recipe(self.experiment(point)))
        return settings["backbone.epochs"], settings["train.epochs"]

    @cached_property
    def members(self) -> dict[str, Space]:
        """The space of each model. Empty for a space of one model."""

        def of(name: str) -> Space:
            mine = {key: p for key, p in self.search.items() if key.startswith(f"{name}/")}
            search = {
                plain(key): replace(p, when=tuple(replace(c, key=plain(c.key)) for c in p.when if c.key != MODEL))
                for key, p in mine.items()
            }
            constraints = tuple(
                replace(one, left=_plain(one.left), right=_plain(one.right))
                for one in self.constraints
                if any(side.startswith(f"{name}/") for side in one.names())
            )
            start = tuple(
                {plain(key): value for key, value in point.items() if key != MODEL}
                for point in self.start
                if point[MODEL] == name
            )
            return replace(self, base=self.base[MODELS][name], search=search, constraints=constraints, start=start)

        return {name: of(name) for name in self.base.get(MODELS, ())}

    def sample(self, trial: Any) -> dict[str, Any]:
        """Return a point from an `optuna.Trial`. Its parameters have the keys as names."""

        def choose(key: str, domain: Domain) -> Any:
            return domain.tidy(getattr(trial, f"suggest_{domain.kind}")(key, **domain.arguments()))

        return self.walk(choose)

    def draw(self, rng: random.Random) -> dict[str, Any]:
        """Return a random point, allowed or not."""
        return self.walk(lambda key, domain: domain.draw(rng))

    def walk(self, choose: Callable[[str, Domain], Any]) -> dict[str, Any]:
        """Return a point whose values `choose` returns. Keys whose conditions do not hold are left out."""
        point: dict[str, Any] = {}
        for key in self.search:
            if self._is_active(key, point):
                point[key] = choose(key, self.search[key].domain)
        return point

    def problem(self, point: Mapping[str, Any]) -> str | None:
        """Return the constraint or rule that the point breaks. None if it is allowed."""
        return self.constraint_problem(point) or self.config_problem(point)

    def constraint_problem(self, point: Mapping[str, Any]) -> str | None:
        """Return the constraint that the point breaks, if any."""
        if self.members:
            own = {plain(key): value for key, value in point.items() if key != MODEL}
            return self.members[point[MODEL]].constraint_problem(own)
        values = self.defaults | self.fixed | dict(point)
        for constraint in self.constraints:
            if not constraint.holds(values):
                sides = ", ".join(f"{key} = {values[key]!r}" for key in constraint.names())
                return f"constraint '{constraint}' does not hold for {sides}"
        return None

    def continuous(self) -> list[str]:
        """Return the keys with infinitely many values."""
        return [key for key, parameter in self.search.items() if parameter.domain.values() is None]

    def size(self) -> int | None:
        """Return the number of allowed points, an upper bound above `MAX_GRID`, or None if it is infinite."""
        if self.continuous():
            return None
        return len(self.grid()) if self.is_small() else self._product()

    def size_text(self) -> str:
        if self.continuous():
            keys = ", ".join(dict.fromkeys(map(plain, self.continuous())))
            finite = sum(one._product() for one in (self.members or {"": self}).values())
            return f"infinite (continuous: {keys}; the other keys: at most {finite:,})"
        number = self.size()
        return f"{'' if self.is_small() else 'at most '}{number:,} configuration{'' if number == 1 else 's'}"

    def grid(self) -> list[dict[str, Any]]:
        """Return all allowed points. Raises `UserError` for a continuous key and for more than `MAX_GRID` points."""
        if self.continuous():
            key = self.continuous()[0]
            rule = "is continuous, which a grid cannot list: give it a step or choices"
            raise UserError(f"{self.source}: search.{key} {rule}")
        if not self.is_small():
            size = f"up to {self._product():,} points"
            raise UserError(f"{self.source}: a grid of {size} is too large: use --sampler random")
        return self._allowed

    def describe(self) -> list[tuple[str, str, str]]:
        """Return rows of key, values and condition for a table.

        What all of several models have comes first, then what some have, with their names.
        """
        chosen = [(MODEL, str(self.search[MODEL].domain), "")] if self.members else []
        return chosen + [(of + key, values, when) for of, (key, values, when) in self._by_models(_rows)]

    def rules(self) -> list[str]:
        """Return the constraints as text, each once."""
        return [of + rule for of, rule in self._by_models(lambda one: [str(rule) for rule in one.constraints])]

    def _by_models(self, lines_of: Callable[[Space], list[Line]]) -> list[tuple[str, Line]]:
        """Lines of all models, each once, behind the names of its models, or behind nothing if all have it."""
        models_of: dict[Line, list[str]] = {}
        for name, one in (self.members or {"": self}).items():
            for line in lines_of(one):
                models_of.setdefault(line, []).append(name)
        everybody = list(self.members) or [""]
        common = [("", line) for line, names in models_of.items() if names == everybody]
        return common + [(f"{', '.join(names)}: ", line) for line, names in models_of.items() if names != everybody]

    def to_dict(self) -> dict[str, Any]:
        """Return the content of a file that reads as this space."""
        return {
            "base": copy.deepcopy(dict(self.base)),
            "search": {key: parameter.to_dict() for key, parameter in self.search.items()},
            "constraints": [str(constraint) for constraint in self.constraints],
            "start": [dict(point) for point in self.start],
        }

    @cached_property
    def defaults(self) -> dict[str, Any]:
        """Every key of the model's experiment, at its default."""
        if self.members:
            own = {f"{name}/{key}": v for name, one in self.members.items() for key, v in one.defaults.items()}
            return {MODEL: next(iter(self.members)), **own}
        return flatten(to_dict(experiment_from_dict({"model": {"name": self.model}})))

    def has(self, key: str) -> bool:
        """Whether the model's experiment has this setting: a key, or an entry of one that is a mapping (`data.size.users`)."""
        return key == "recipe" or key in self.defaults or key.rpartition(".")[0] in self.defaults

    @cached_property
    def fixed(self) -> dict[str, Any]:
        """`base` with dotted keys."""
        if self.members:
            return {f"{name}/{key}": value for name, one in self.members.items() for key, value in one.fixed.items()}
        return {key: typed(value, self.defaults.get(key)) for key, value in flatten(self.base).items()}

    def _is_active(self, key: str, point: Mapping[str, Any]) -> bool:
        def holds(condition: Condition) -> bool:
            if condition.key in self.search:
                return condition.key in point and condition.holds(point[condition.key])
            return condition.holds(self.fixed[condition.key])

        return all(map(holds, self.search[key].when))

    def left_to_search(self, settings: Mapping[str, Any], fixed: Mapping[str, Any]) -> dict[str, Parameter]:
        left: dict[str, Parameter] = {}
        for key, parameter in self.search.items():
            possible = (
                c.key in left or ((c.key in settings or c.key not in self.search) and c.holds(fixed[c.key]))
                for c in parameter.when
            )
            if key not in settings and all(possible):
                left[key] = parameter
        return left

    def config_problem(self, point: Mapping[str, Any]) -> str | None:
        """Return the rule of the experiment that the point breaks, if any."""
        try:
            experiment_from_dict(self.experiment(point))
        except UserError as error:
            return str(error)
        return None

    @cached_property
    def _allowed(self) -> list[dict[str, Any]]:
        return [point for point in self.points() if self.problem(point) is None]

    def _product(self) -> int:
        return math.prod(len(values) for p in self.search.values() if (values := p.domain.values()) is not None)

    def is_small(self) -> bool:
        """Whether its points can be listed."""
        return not self.continuous() and self._product() <= MAX_GRID

    def points(self) -> Iterator[dict[str, Any]]:
        """Return all points, allowed or not. The first key changes slowest."""

        def extend(point: dict[str, Any], keys: list[str]) -> Iterator[dict[str, Any]]:
            if not keys:
                yield point
            elif not self._is_active(keys[0], point):
                yield from extend(point, keys[1:])
            else:
                values = self.search[keys[0]].domain.values()
                assert values is not None, f"{keys[0]} has no end of values"
                for value in values:
                    yield from extend({**point, keys[0]: value}, keys[1:])

        return extend({}, list(self.search))

    def complete(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return the start point, with missing keys at the values that they have without a search."""
        values = self.defaults | self.fixed

        def choose(key: str, domain: Domain) -> Any:
            value = typed(given.get(key, values[key]), values[key])
            if value not in domain:
                origin = "" if key in given else " (not given, so as it is without a search)"
                raise UserError(f"{key} = {value!r}{origin}: must be in {domain}")
            return domain.tidy(value)

        point = self.walk(choose)
        if problem := self.problem(point):
            raise UserError(problem)
        return point


def _rows(space: Space) -> list[tuple[str, str, str]]:
    return [(key, str(p.domain), " and ".join(map(str, p.when))) for key, p in space.search.items()]


def _plain(side: str | float) -> str | float:
    return plain(side) if isinstance(side, str) else side
