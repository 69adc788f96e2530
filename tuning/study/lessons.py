"""Finished trials of earlier sweeps that teach the sampler of a new one. They are no trials of the sweep."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

TAUGHT_BY = "taught_by"
"""Attribute of a trial in the study: the earlier sweep's trial whose point and value it has."""


@dataclass(frozen=True, kw_only=True)
class Lesson:
    """A finished trial of an earlier sweep."""

    origin: str
    """`sweep/trial`."""
    point: Mapping[str, Any]
    value: float
    numbers: Mapping[str, float] = field(default_factory=dict)
    """Its other aims and limited numbers."""
