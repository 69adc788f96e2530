"""Units of Unix times: seconds and their parts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from fame.errors import UserError

UNITS = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
"""Parts of a second in each unit of a Unix time."""
NAMES = {"s": "seconds", "ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds"}
BAND = (10**8, 4_102_444_800)
"""Unix seconds from 1973 to 2100. A number in this band of a unit may be a time in this unit."""


def between(values: np.ndarray, ends: tuple[Any, Any], low: int, high: int) -> tuple[int, np.ndarray | bool]:
    """How many values lie from `low` to below `high`, and which; quickly where it is all or none of them."""
    if low <= ends[0] and ends[1] < high:
        return len(values), True
    if ends[1] < low or ends[0] >= high:
        return 0, False
    mask = (values >= low) & (values < high)
    return int(np.count_nonzero(mask)), mask


def scaled(values: np.ndarray, factor: int) -> np.ndarray:
    """Times in a unit that is so many times finer. Raises `UserError` where they do not fit into 64 bits."""
    if factor > 1 and len(values) and max(abs(int(values.min())), abs(int(values.max()))) > (2**63 - 1) // factor:
        raise UserError("times of different precision are too far apart to be compared; correct the dates before 1678")
    return values * factor


def in_nanoseconds(times: np.ndarray) -> np.ndarray:
    """Numbers of several units, each by its size."""
    converted = np.zeros(len(times), np.int64)
    for unit, parts in UNITS.items():
        inside = times >= BAND[0] * parts if unit != "s" else np.ones(len(times), bool)
        fits = inside & (times < BAND[1] * parts)
        fine = times[fits] * (UNITS["ns"] // parts)
        converted[fits] = fine if times.dtype.kind == "i" else np.round(fine).astype(np.int64)
    return converted


def shown(value: Any, unit: str | None) -> str:
    """A time for a person: a date where the unit is known."""
    if unit is None:
        return str(value)
    return str(np.array(int(value), f"datetime64[{unit}]").astype("datetime64[s]")).replace("T", " ")


@dataclass
class UnitCount:
    """Statistics of numbers that may be times in one unit."""

    count: int = 0
    believed: int = 0
    """Numbers that are times from 1990 to tomorrow."""
    first: str = ""
    """A value and its row."""

    def add(self, later: UnitCount) -> None:
        self.count += later.count
        self.believed += later.believed
        self.first = self.first or later.first
