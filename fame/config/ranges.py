"""Ranges of settings, written where a setting is: `lr: Positive = 1e-3`.

A range is checked when a section is made, and docs/SETTINGS.md shows it.
"""

from __future__ import annotations

import math
import typing
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, ClassVar

from fame.errors import UserError


def require(condition: bool, key: str, value: object, rule: str) -> None:
    """Raise the `UserError` that every broken rule of a configuration uses."""
    if not condition:
        raise UserError(f"{key} = {value!r}: {rule}")


@dataclass(frozen=True, kw_only=True)
class Range:
    """Numbers from `low` to `high`; an open end does not belong to it."""

    low: float
    high: float = math.inf
    open_low: bool = False
    open_high: bool = False
    why: str = ""

    def __contains__(self, value: float) -> bool:
        above = value > self.low if self.open_low else value >= self.low
        return above and (value < self.high if self.open_high else value <= self.high)

    def __str__(self) -> str:
        if math.isinf(self.high):
            why = f" ({self.why})" if self.why else ""
            return "positive" if self.open_low and not self.low else f"at least {self.low:g}{why}"
        if not self.open_low and not self.open_high:
            return f"between {self.low:g} and {self.high:g}"
        return f"in {'[('[self.open_low]}{self.low:g}, {self.high:g}{'])'[self.open_high]}"


Natural = Annotated[int, Range(low=0)]
"""A count that may be 0."""
Count = Annotated[int, Range(low=1)]
NotNegative = Annotated[float, Range(low=0)]
Positive = Annotated[float, Range(low=0, open_low=True)]
Share = Annotated[float, Range(low=0, high=1)]
Rate = Annotated[float, Range(low=0, high=1, open_high=True)]
"""A probability below 1."""
Fraction = Annotated[float, Range(low=0, high=1, open_low=True)]
"""A part of a whole, and not none of it."""


class Section:
    """Base class of an experiment's sections."""

    section: ClassVar[str]
    """Its key in an experiment."""

    def __post_init__(self) -> None:
        """Check the ranges of the fields. A subclass with rules of its own calls this first. Raises `UserError`."""
        for name, allowed in ranges(type(self)).items():  # type: ignore[arg-type]
            value = getattr(self, name)
            require(value is None or value in allowed, f"{self.section}.{name}", value, f"must be {allowed}")


@cache
def ranges(section: type) -> dict[str, Range]:
    """Return the ranges of a section's fields; a field without one is left out."""
    hints = typing.get_type_hints(section, include_extras=True)
    return {name: found for name, hint in hints.items() if (found := _range(hint)) is not None}


def _range(hint: Any) -> Range | None:
    found = [one for one in getattr(hint, "__metadata__", ()) if isinstance(one, Range)]
    return found[0] if found else next(filter(None, map(_range, typing.get_args(hint))), None)
