"""The search space of a sweep: a YAML file over the experiment's tree.

    base:         {model: {name: fame}, train: {epochs: 12}}      # settings of every trial
    search:       {model.heads: {choices: [1, 2, 4]}, train.lr: {low: 1e-4, high: 1e-2, log: true},
                   backbone.lr: {low: 1e-4, high: 1e-2, log: true, when: {backbone.epochs: {above: 0}}}}
    constraints:  [model.heads divides model.dim]                 # every trial meets them
    start:        [{model.heads: 2}]                              # first trials, in this order

A `point` is a flat dictionary from searched keys to values; keys whose conditions do not hold are
not in it. A start point may leave keys out: they take the value they have without a search.

Everything that can be wrong with a space is found before a trial starts: each end and each choice is
tried on the experiment itself, whose own rules therefore count as constraints too.
"""

from __future__ import annotations

import copy
import json
import math
import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from fame.config_tree import experiment_from_dict, read_yaml, set_key, to_dict
from fame.errors import UserError, nearest
from tuning.domains import Condition, Constraint, Domain, Parameter, read_constraint, read_parameter, typed
from tuning.space_check import check_keys, check_possible, check_values, inside, require_known

CONFIGS = Path(__file__).parent / "configs"

MAX_GRID = 5_000
"""Configurations that are listed one by one; a larger space is sampled instead."""


@dataclass(frozen=True)
class Space:
    """What a sweep searches. Built by `read_space`, which checks it."""

    base: Mapping[str, Any]
    """Settings of every trial: a part of an experiment, as nested dictionaries."""
    search: Mapping[str, Parameter]
    constraints: tuple[Constraint, ...] = ()
    start: tuple[Mapping[str, Any], ...] = ()
    """Complete first points."""
    source: str = field(default="space", compare=False)
    """The file, for messages."""

    @property
    def model(self) -> str:
        return str((self.base.get("model") or {}).get("name", "fame"))

    def experiment(self, point: Mapping[str, Any]) -> dict[str, Any]:
        """The tree, for `experiment_from_dict`, of the trial at `point`."""
        tree = copy.deepcopy(dict(self.base))
        for key, value in point.items():
            set_key(tree, key, value)
        return tree

    def sample(self, trial: Any) -> dict[str, Any]:
        """A point from an `optuna.Trial`, define-by-run; parameters have the keys as names."""

        def choose(key: str, domain: Domain) -> Any:
            return domain.tidy(getattr(trial, f"suggest_{domain.kind}")(key, **domain.arguments()))

        return self.walk(choose)

    def draw(self, rng: random.Random) -> dict[str, Any]:
        """A point at random, allowed or not."""
        return self.walk(lambda key, domain: domain.draw(rng))

    def walk(self, choose: Callable[[str, Domain], Any]) -> dict[str, Any]:
        """A point whose values `choose` returns; keys whose conditions do not hold are left out."""
        point: dict[str, Any] = {}
        for key in self.search:
            if self._is_active(key, point):
                point[key] = choose(key, self.search[key].domain)
        return point

    def problem(self, point: Mapping[str, Any]) -> str | None:
        """Why the point must not be run: a constraint, or a rule of the experiment; None if it may be."""
        return self.constraint_problem(point) or self.config_problem(point)

    def constraint_problem(self, point: Mapping[str, Any]) -> str | None:
        """The constraint that the point breaks, if any."""
        values = self.defaults | self.fixed | dict(point)
        for constraint in self.constraints:
            if not constraint.holds(values):
                sides = ", ".join(f"{key} = {values[key]!r}" for key in constraint.names())
                return f"constraint '{constraint}' does not hold for {sides}"
        return None

    def continuous(self) -> list[str]:
        """Keys with infinitely many values."""
        return [key for key, parameter in self.search.items() if parameter.domain.values() is None]

    def size(self) -> int | None:
        """Number of allowed points (at most that many if more than `MAX_GRID`); None if infinite."""
        if self.continuous():
            return None
        return len(self.grid()) if self.is_small() else self._product()

    def size_text(self) -> str:
        if self.continuous():
            finite = self._product()
            return f"infinite (continuous: {', '.join(self.continuous())}; the other keys: at most {finite:,})"
        return f"{'' if self.is_small() else 'at most '}{self.size():,} configurations"

    def grid(self) -> list[dict[str, Any]]:
        """All allowed points. Raises `UserError` for a continuous key and for more than `MAX_GRID` points."""
        if self.continuous():
            key = self.continuous()[0]
            rule = "is continuous, which a grid cannot list: give it a step or choices"
            raise UserError(f"{self.source}: search.{key} {rule}")
        if not self.is_small():
            size = f"up to {self._product():,} points"
            raise UserError(f"{self.source}: a grid of {size} is too large: use --sampler random")
        return [point for point in self.points() if self.problem(point) is None]

    def describe(self) -> list[tuple[str, str, str]]:
        """Rows of key, values and condition, for a table."""
        return [(key, str(p.domain), " and ".join(map(str, p.when))) for key, p in self.search.items()]

    def to_dict(self) -> dict[str, Any]:
        """The content of a file that reads as this space."""
        return {
            "base": copy.deepcopy(dict(self.base)),
            "search": {key: parameter.to_dict() for key, parameter in self.search.items()},
            "constraints": [str(constraint) for constraint in self.constraints],
            "start": [dict(point) for point in self.start],
        }

    def fix(self, settings: Mapping[str, Any]) -> Space:
        """The space with these keys (dotted, or nested) set for every trial and no longer searched.

        Keys that existed only under another value of a fixed key are no longer searched either.
        Start points keep their other keys; one that is no longer possible is dropped.
        """
        settings = flatten(settings)
        base = copy.deepcopy(dict(self.base))
        for key, value in settings.items():
            set_key(base, key, value)
        space = replace(self, base=base, search={}, start=())
        space = replace(space, search=self._left_to_search(settings, space.fixed))
        check_keys(space)
        check_possible(space)
        start: list[dict[str, Any]] = []
        for point in self.start:
            try:
                point = space._complete(point)
            except UserError:
                continue
            start += [] if point in start else [point]
        return replace(space, start=tuple(start))

    @cached_property
    def defaults(self) -> dict[str, Any]:
        """Every key of the model's experiment, at its default."""
        return flatten(to_dict(experiment_from_dict({"model": {"name": self.model}})))

    @cached_property
    def fixed(self) -> dict[str, Any]:
        """`base` with dotted keys."""
        return {key: typed(value, self.defaults.get(key)) for key, value in flatten(self.base).items()}

    def _is_active(self, key: str, point: Mapping[str, Any]) -> bool:
        def holds(condition: Condition) -> bool:
            if condition.key in self.search:
                return condition.key in point and condition.holds(point[condition.key])
            return condition.holds(self.fixed[condition.key])

        return all(map(holds, self.search[key].when))

    def _left_to_search(self, settings: Mapping[str, Any], fixed: Mapping[str, Any]) -> dict[str, Parameter]:
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
        """The rule of the experiment that the point breaks, if any."""
        try:
            experiment_from_dict(self.experiment(point))
        except UserError as error:
            return str(error)
        return None

    def _product(self) -> int:
        return math.prod(len(values) for p in self.search.values() if (values := p.domain.values()) is not None)

    def is_small(self) -> bool:
        """Whether its points can be listed."""
        return not self.continuous() and self._product() <= MAX_GRID

    def points(self) -> Iterator[dict[str, Any]]:
        """All points, allowed or not, first key slowest."""

        def extend(point: dict[str, Any], keys: list[str]) -> Iterator[dict[str, Any]]:
            if not keys:
                yield point
            elif not self._is_active(keys[0], point):
                yield from extend(point, keys[1:])
            else:
                for value in self.search[keys[0]].domain.values():
                    yield from extend({**point, keys[0]: value}, keys[1:])

        return extend({}, list(self.search))

    def _complete(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """The start point with its missing keys at the values that they have without a search."""
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


def shipped_spaces() -> list[str]:
    """Names of the space files that come with the program."""
    return sorted(path.stem for path in CONFIGS.glob("*.yaml"))


def default_space(model: str) -> str:
    """Name of the shipped space for a sweep of `model` that names none: the model's own, else `default`."""
    return model if model in shipped_spaces() else "default"


def read_space(source: str | Path) -> Space:
    """Read and check a space: a file, or the name of a shipped one (`default`, `paper`, …).

    Raises `UserError` that names the file and the key for anything wrong with it.
    """
    path = Path(source)
    if not path.suffix and not path.exists():
        if str(source) not in shipped_spaces():
            raise UserError(f"no space file '{source}': {nearest(str(source), shipped_spaces())}, or give a path")
        path = CONFIGS / f"{source}.yaml"
    return space_from_dict(read_yaml(path), str(source))


def space_from_dict(tree: Any, source: str = "space") -> Space:
    """`read_space` from the file's content."""
    sections = {"base": Mapping, "search": Mapping, "constraints": list, "start": list}
    with inside(source):
        if not isinstance(tree, Mapping):
            raise UserError(f"must be a mapping with the sections {', '.join(sections)}")
        for name, content in tree.items():
            if name not in sections:
                raise UserError(f"unknown section '{name}': {nearest(name, sections)}")
            if not isinstance(content, sections[name]):
                kind = "list" if sections[name] is list else "mapping"
                raise UserError(f"{name} = {json.dumps(content, default=str)}: must be a {kind}")
    space = Space(base=tree.get("base", {}), search={}, source=source)
    search = {}
    for key, settings in tree.get("search", {}).items():
        with inside(f"{source}: search.{key}"):
            require_known(space, key)
            search[key] = read_parameter(settings, space.defaults[key])
    with inside(f"{source}: constraints"):
        constraints = tuple(map(read_constraint, tree.get("constraints", ())))
    space = replace(space, search=search, constraints=constraints)
    check_keys(space)
    check_values(space)
    check_possible(space)
    return replace(space, start=tuple(_read_start(space, tree.get("start", ()))))


def _read_start(space: Space, points: Any) -> Iterator[dict[str, Any]]:
    for number, given in enumerate(points, start=1):
        with inside(f"{space.source}: start point {number}"):
            if not isinstance(given, Mapping):
                raise UserError(f"{given!r}: must be a mapping from searched keys to values")
            given = flatten(given)
            for key in given:
                if key not in space.search:
                    raise UserError(f"'{key}' is not searched: {nearest(key, space.search)}")
            point = space._complete(given)
            for key in given.keys() - point.keys():
                raise UserError(f"'{key}' must be left out: it needs {' and '.join(map(str, space.search[key].when))}")
            yield point


def flatten(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested dictionaries as one, with dotted keys."""
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        flat |= flatten(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value}
    return flat
