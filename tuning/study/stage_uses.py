"""How trials came to the results of shared stages: computed, or taken over from another trial.

A trial reports its uses. The study keeps them, so they survive a restart.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fame.training.shared_stages import StageUse, read_uses

ATTRIBUTE = "stages"
"""Attribute of a trial in the study: its uses of shared stages."""


@dataclass(frozen=True, kw_only=True)
class Uses:
    """The uses of one stage, by one trial or by a whole sweep."""

    computed: int = 0
    """Runs of the stage. Other trials can take over each result."""
    shared: int = 0
    """Trials that took a result over."""
    rebuilt: int = 0
    """Runs that replaced a damaged result."""
    seconds_saved: float = 0.0
    """Training and evaluation time that was not spent again."""
    seconds_waited: float = 0.0
    """Time that trials waited for another trial to compute the stage."""

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


def to_metrics(uses: Mapping[str, Uses]) -> dict[str, float]:
    """Return uses by stage as plain figures, `stage_<stage>_<field>`, for reports, the study and MLflow."""
    return {f"stage_{stage}_{key}": float(value) for stage, one in uses.items() for key, value in vars(one).items()}


def from_metrics(values: Mapping[str, Any]) -> dict[str, Uses]:
    """Invert `to_metrics`. Other figures are skipped."""
    found: dict[str, dict[str, Any]] = {}
    for name, value in values.items():
        if match := _METRIC.fullmatch(name):
            found.setdefault(match[1], {})[match[2]] = value if match[2].startswith("seconds") else int(value)
    return {stage: Uses(**fields) for stage, fields in found.items()}


def reported_uses(folder: Path) -> dict[str, float]:
    """Return the figures that a trial adds to its reports after a shared stage."""
    return to_metrics({use.stage: Uses.of(use) for use in read_uses(folder)})
