"""Columns of a catalogue's items as filters: which items have a label, or a number within bounds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np

from fame.errors import UserError, nearest

LONGEST_LABEL = 200
"""A column with a longer text is prose: no filter asks for it, and an exported folder does not keep it."""


class ItemColumns:
    """Texts of V items by column; several labels of an item are joined by `|`."""

    def __init__(self, columns: Mapping[str, Sequence[str]], count: int) -> None:
        self.columns, self.count = columns, count
        self._labels, self._numbers = cache(self._read_labels), cache(self._read_numbers)

    def matching(self, where: Mapping[str, Any]) -> np.ndarray:
        """Return whether each item passes all filters of `Request.where`, bool [V]. Raises `UserError` for an unknown column."""
        passed_V = np.ones(self.count, bool)
        for column, wanted in where.items():
            if column not in self.columns:
                known = nearest(column, self.columns) if self.columns else "the exported folder has none"
                raise UserError(f"where {column} = {wanted!r}: the items have no such column; {known}")
            if isinstance(wanted, Mapping):
                numbers_V = self._numbers(column)
                passed_V &= (numbers_V >= wanted.get("min", -np.inf)) & (numbers_V <= wanted.get("max", np.inf))
            else:
                some_V = np.zeros(self.count, bool)
                for label in [wanted] if isinstance(wanted, str | int | float) else wanted:
                    some_V[self._labels(column).get(str(label), [])] = True
                passed_V &= some_V
        return passed_V

    def labels(self, column: str) -> list[str]:
        """Every label of a column."""
        return list(self._labels(column))

    def _read_labels(self, column: str) -> dict[str, list[int]]:
        found: dict[str, list[int]] = {}
        for place, text in enumerate(self.columns[column]):
            for label in {text, *text.split("|")} - {""}:
                found.setdefault(label, []).append(place)
        return found

    def _read_numbers(self, column: str) -> np.ndarray:
        return np.array([_number(text) for text in self.columns[column]])


def _number(text: str) -> float:
    """The number that a text is; NaN, which is within no bounds, for any other."""
    try:
        return float(text)
    except ValueError:
        return float("nan")
