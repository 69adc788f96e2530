"""Domains of searched keys (choices, whole numbers, real numbers), and the conditions and
constraints over such keys: the vocabulary of a space file, as plain values.

The language of conditions and constraints is closed: a few relations between keys and numbers. So a space file is data,
and nothing in it is ever evaluated as code.
"""

from __future__ import annotations

import math
import operator
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, TypeAlias, TypeGuard

from fame.errors import UserError, nearest

Scalar: TypeAlias = bool | int | float | str | None


def is_number(value: Any) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


@dataclass(frozen=True)
class Choices:
    """One of a few values, without an order."""

    choices: tuple[Scalar, ...]
    kind: ClassVar[str] = "categorical"

    def __post_init__(self) -> None:
        if not self.choices:
            raise UserError("choices = []: needs at least one value")
        for value in self.choices:
            if not isinstance(value, bool | int | float | str | None):
                raise UserError(f"choices: {value!r} must be a number, a text, true, false or null")
        repeated = [value for value in self.choices if self.choices.count(value) > 1]
        if repeated:
            raise UserError(f"choices: {repeated[0]!r} must be there only once")

    def __contains__(self, value: Any) -> bool:
        return value in self.choices

    def __str__(self) -> str:
        return "{" + ", ".join(map(str, self.choices)) + "}"

    def values(self) -> Sequence[Scalar]:
        return self.choices

    ends = values

    def tidy(self, value: Scalar) -> Scalar:
        return value

    def draw(self, rng: random.Random) -> Scalar:
        return rng.choice(self.choices)

    def arguments(self) -> dict[str, Any]:
        """Return the arguments of Optuna's `suggest_<kind>` and `<Kind>Distribution`, which agree."""
        return {"choices": self.choices}


@dataclass(frozen=True)
class IntRange:
    """Whole numbers from `low` to `high`, both included."""

    low: int
    high: int
    step: int = 1
    log: bool = False
    kind: ClassVar[str] = "int"

    def __post_init__(self) -> None:
        for name in ("low", "high", "step"):
            if not isinstance(getattr(self, name), int) or isinstance(getattr(self, name), bool):
                raise UserError(f"{name} = {getattr(self, name)!r}: must be a whole number")
        _check_range(self)

    def __contains__(self, value: Any) -> bool:
        return is_number(value) and value in self.values()

    def __str__(self) -> str:
        return f"{self.low} to {self.high}" + ("" if self.step == 1 else f" by {self.step}") + ", log" * self.log

    def values(self) -> Sequence[int]:
        return range(self.low, self.high + 1, self.step)

    def ends(self) -> Sequence[Scalar]:
        return self.low, self.high

    def tidy(self, value: Scalar) -> Scalar:
        return value

    def draw(self, rng: random.Random) -> Scalar:
        if self.log:
            return round(math.exp(rng.uniform(math.log(self.low), math.log(self.high))))
        return rng.choice(self.values())

    def arguments(self) -> dict[str, Any]:
        return {"low": self.low, "high": self.high, "step": self.step, "log": self.log}


@dataclass(frozen=True)
class FloatRange:
    """Real numbers from `low` to `high`, both included; only multiples of `step` above `low` if given."""

    low: float
    high: float
    step: float | None = None
    log: bool = False
    kind: ClassVar[str] = "float"

    def __post_init__(self) -> None:
        for name in ("low", "high", "step"):
            value = getattr(self, name)
            if not (is_number(value) and math.isfinite(value)) and (name != "step" or value is not None):
                raise UserError(f"{name} = {value!r}: must be a finite number")
        _check_range(self)

    def __contains__(self, value: Any) -> bool:
        return is_number(value) and self.low <= value <= self.high and math.isclose(self.tidy(value), value)

    def __str__(self) -> str:
        return f"{self.low:g} to {self.high:g}" + (f" by {self.step:g}" if self.step else "") + ", log" * self.log

    def values(self) -> Sequence[float] | None:
        """None: without a step there is no end of them."""
        if self.step is None:
            return None
        return [self.tidy(self.low + i * self.step) for i in range(round((self.high - self.low) / self.step) + 1)]

    def ends(self) -> Sequence[Scalar]:
        return self.low, self.high

    def tidy(self, value: Any) -> float:
        """The value without the rounding error of its steps: 0.3, not 0.30000000000000004."""
        if self.step is None:
            return value
        return float(f"{self.low + round((value - self.low) / self.step) * self.step:.12g}")

    def draw(self, rng: random.Random) -> float:
        if self.log:
            value = math.exp(rng.uniform(math.log(self.low), math.log(self.high)))
            return min(max(value, self.low), self.high)
        values = self.values()
        return rng.uniform(self.low, self.high) if values is None else rng.choice(values)

    def arguments(self) -> dict[str, Any]:
        return {"low": self.low, "high": self.high, "step": self.step, "log": self.log}


Domain: TypeAlias = Choices | IntRange | FloatRange


def _check_range(domain: IntRange | FloatRange) -> None:
    low, high, step = domain.low, domain.high, domain.step
    if not isinstance(domain.log, bool):
        raise UserError(f"log = {domain.log!r}: must be true or false")
    if low >= high:
        raise UserError(f"low = {low}: must be below high = {high}")
    if domain.log and low <= 0:
        raise UserError(f"low = {low}: must be positive on a log scale")
    if domain.log and step not in (None, 1):
        raise UserError(f"step = {step}: cannot be combined with log; leave one of them out")
    if step is not None and step <= 0:
        raise UserError(f"step = {step}: must be positive")
    if step is not None and not math.isclose((high - low) / step, round((high - low) / step), abs_tol=1e-9):
        raise UserError(f"step = {step}: must divide high - low = {high - low:g}")


@dataclass(frozen=True)
class Condition:
    """A searched key exists only where another key has one of some values, or lies above or below one."""

    key: str
    relation: str
    """`in`, `above` or `below`."""
    value: Any
    """A tuple for `in`, else a number."""

    def holds(self, value: Scalar) -> bool:
        if self.relation == "in":
            return value in self.value
        return is_number(value) and (value > self.value if self.relation == "above" else value < self.value)

    def __str__(self) -> str:
        if self.relation != "in":
            return f"{self.key} {'>' if self.relation == 'above' else '<'} {self.value}"
        return f"{self.key} = {' or '.join(map(str, self.value))}"

    def to_dict(self) -> Any:
        return list(self.value) if self.relation == "in" else {self.relation: self.value}


@dataclass(frozen=True)
class Parameter:
    """A searched key: what it may be, and when it is there."""

    domain: Domain
    when: tuple[Condition, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        tree = {k: list(v) if isinstance(v, tuple) else v for k, v in self.domain.arguments().items()}
        tree = {k: v for k, v in tree.items() if v is not None and v is not False}
        return tree | ({"when": {c.key: c.to_dict() for c in self.when}} if self.when else {})


RELATIONS = {
    "divides": lambda left, right: left != 0 and right % left == 0,
    "<=": operator.le,
    "<": operator.lt,
    ">=": operator.ge,
    ">": operator.gt,
    "==": operator.eq,
    "!=": operator.ne,
}


@dataclass(frozen=True)
class Constraint:
    """A relation between two keys, or a key and a number, that every trial has to meet."""

    left: str | float
    relation: str
    right: str | float

    def names(self) -> list[str]:
        return [side for side in (self.left, self.right) if isinstance(side, str)]

    def holds(self, values: Mapping[str, Any]) -> bool:
        left, right = (values[side] if isinstance(side, str) else side for side in (self.left, self.right))
        return RELATIONS[self.relation](left, right)

    def __str__(self) -> str:
        return f"{self.left} {self.relation} {self.right}"


def typed(value: Any, default: Any) -> Any:
    """`value` as a real number where `default` is one (YAML reads 1 as whole and 1e-3 as text)."""
    if isinstance(default, float) and isinstance(value, int | str) and not isinstance(value, bool):
        try:
            return float(value)
        except ValueError:
            pass
    return value


def read_parameter(settings: Any, default: Any) -> Parameter:
    """A key of the section `search`; `default` is the key's value without a search and tells its type."""
    if not isinstance(settings, Mapping):
        raise UserError(f"{settings!r}: must be {{choices: [...]}} or {{low: ..., high: ...}}")
    settings = dict(settings)
    when = settings.pop("when", {})
    if not isinstance(when, Mapping):
        raise UserError(f"when = {when!r}: must be a mapping from a key to its values")
    conditions = tuple(_read_condition(key, test) for key, test in when.items())
    known = ("choices",) if "choices" in settings else ("low", "high", "step", "log")
    for name in settings:
        if name not in known:
            raise UserError(f"unknown setting '{name}': {nearest(name, [*known, 'when'])}")
    if "choices" in settings:
        choices = settings["choices"]
        if not isinstance(choices, list | tuple):
            raise UserError(f"choices = {choices!r}: must be a list")
        return Parameter(Choices(tuple(typed(value, default) for value in choices)), conditions)
    for name in ("low", "high"):
        if name not in settings:
            raise UserError(f"{name} is missing: give {{low: ..., high: ...}} or {{choices: [...]}}")
    if isinstance(default, bool | str):
        raise UserError(f"is not a number (it is {default!r} by default): give {{choices: [...]}}")
    numbers = {name: typed(settings[name], default) for name in ("low", "high", "step") if name in settings}
    whole = isinstance(default, int) or (default is None and all(isinstance(n, int) for n in numbers.values()))
    domain = (IntRange if whole else FloatRange)(**numbers, log=settings.get("log", False))
    return Parameter(domain, conditions)


def _read_condition(key: str, test: Any) -> Condition:
    if isinstance(test, Mapping):
        if len(test) != 1 or not set(test) <= {"above", "below"} or not is_number(next(iter(test.values()))):
            rule = "must be a value, a list, {above: number} or {below: number}"
            raise UserError(f"when.{key} = {dict(test)}: {rule}")
        ((relation, value),) = test.items()
        return Condition(key, relation, value)
    return Condition(key, "in", tuple(test) if isinstance(test, list | tuple) else (test,))


def read_constraint(text: Any) -> Constraint:
    words = text.split() if isinstance(text, str) else []
    if len(words) != 3 or words[1] not in RELATIONS:
        raise UserError(f"{text!r}: must look like 'model.heads divides model.dim'; relations: {', '.join(RELATIONS)}")

    def side(word: str) -> str | float:
        try:
            return float(word) if "." in word or "e" in word.lower() else int(word)
        except ValueError:
            return word

    return Constraint(side(words[0]), words[1], side(words[2]))
