"""A request for recommendations, the same in Python, on the command line and in the served model."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, fields
from numbers import Integral
from typing import Any

from fame.errors import UserError, nearest

TOP = 10
"""Items of an answer, where the request does not say."""
Id = int | str


@dataclass(frozen=True, kw_only=True)
class Request:
    """A request for one user. Ids are those of the data; unknown ids are skipped and named in the answer."""

    history: Sequence[Id] = ()
    """Items of the user, oldest first. Without a known one the most popular items are the answer."""
    user: Id | None = None
    """A user of the training data, in the place of a history."""
    top: int = TOP
    """Most items of the answer. There are fewer only where no others are allowed."""
    candidates: Sequence[Id] | None = None
    """The only items to choose from; None is the whole catalogue."""
    exclude: Sequence[Id] = ()
    """Items to leave out."""
    where: Mapping[str, Any] = field(default_factory=dict)
    """Item columns and what they must hold: a label, a list of labels of which one is enough, or `{min: 5, max: 20}`."""
    min_score: float | None = None
    """Lowest score of an item. Popular items have none, so they are left out."""
    seen: bool | None = None
    """Whether items of the history may be recommended; None is as in the model's evaluation."""

    @classmethod
    def read(cls, given: Any) -> Request:
        """Return the request of a JSON object or of a data frame's row.

        A data frame has fractions for whole numbers, and NaN for a field that is not given. Raises `UserError`.
        """
        if not isinstance(given, Mapping):
            raise UserError(f'{given!r} is no request: give fields, for example {{"history": [1, 2], "top": 5}}')
        known = [f.name for f in fields(cls)]
        for key in given:
            if key not in known:
                raise UserError(f"{key}: a request has no such field; {nearest(str(key), known)}")
        found = {key: value for key, one in given.items() if not _is_missing(value := _whole(one))}
        if not found.keys() & {"history", "user"}:
            raise UserError("a request needs a history or a user; the history [] asks for popular items")
        return cls(**found)

    def __post_init__(self) -> None:
        for key in ("history", "candidates", "exclude"):
            value = getattr(self, key)
            if not (value is None and key == "candidates") and (isinstance(value, str) or not _is_list(value)):
                raise UserError(f"{key} = {value!r}: must be a list of item ids")
            if value is not None:
                object.__setattr__(self, key, tuple(value))
                if bad := [id for id in value if not _is_id(id)]:
                    raise UserError(f"{key} has {bad[0]!r}: an item id is a whole number or a text")
        if self.user is not None:
            if not _is_id(self.user):
                raise UserError(f"user = {self.user!r}: a user id is a whole number or a text")
            if self.history:
                raise UserError(f"user = {self.user!r}: has a history already; give a user or a history, not both")
        if isinstance(self.top, bool) or not isinstance(self.top, int) or self.top < 1:
            raise UserError(f"top = {self.top!r}: must be a whole number of at least 1")
        if self.min_score is not None and not (_is_number(self.min_score) and math.isfinite(self.min_score)):
            raise UserError(f"min_score = {self.min_score!r}: must be a number")
        if not isinstance(self.where, Mapping):
            raise UserError(f'where = {self.where!r}: must name columns, for example {{"category": "Shampoo"}}')
        for column, wanted in self.where.items():
            _check(column, wanted)

    @property
    def rule(self) -> str:
        """Equal for requests that differ in their user or history alone."""
        return repr([getattr(self, f.name) for f in fields(self) if f.name not in ("history", "user")])


@dataclass(frozen=True, kw_only=True)
class Recommendation:
    """One recommended item."""

    id: Id
    title: str
    score: float | None
    """None for an item that is recommended because it is popular."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """The recommendations for one user."""

    items: list[Recommendation]
    """Best first."""
    facets: list[float]
    """The gate's weight of each facet; empty for a model without facets, or without a history to weigh them by."""
    unknown: list[Id]
    """Ids of the request that the model does not know."""
    popular: bool
    """Whether the history had no known item, so that the items are popular ones."""


def _check(column: str, wanted: Any) -> None:
    """Raise `UserError` unless a filter on a column can be understood."""
    if isinstance(wanted, Mapping):
        bounds = {key: value for key, value in wanted.items() if key in ("min", "max") and _is_number(value)}
        good = bool(bounds) and len(bounds) == len(wanted)
    else:
        good = all(map(_is_label, wanted)) if _is_list(wanted) else _is_label(wanted)
    if not good:
        raise UserError(f"where {column} = {wanted!r}: give a label, a list of labels, or {{min: 5, max: 20}}")


def _whole(value: Any) -> Any:
    """The value in Python's types, with whole numbers where there are whole fractions."""
    value = value.tolist() if hasattr(value, "tolist") else value  # NumPy's arrays and numbers
    if isinstance(value, Mapping):
        return {key: _whole(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_whole(one) for one in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _is_missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


def _is_id(value: Any) -> bool:
    whole = isinstance(value, str | Integral) or (isinstance(value, float) and value.is_integer())
    return whole and not isinstance(value, bool)


def _is_label(value: Any) -> bool:
    return isinstance(value, str | int | float)


def _is_list(value: Any) -> bool:
    return isinstance(value, Collection) and not isinstance(value, str | Mapping)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
