"""Limits that schedulers share: when a trial may be stopped, and which settings may change on the way."""

from __future__ import annotations

from fame.config import CHANGEABLE
from tuning.space import Space

REDUCTION = 2
"""One in two trials continues at a rung of ASHA.

A sweep has tens of trials. With one in two, the fewest trials suffice to tell good ones from bad ones."""
QUARTER = 4
"""One in four trials of a population takes over the state of a trial in the best quarter."""


def grace(epochs: int) -> int:
    """Return the epochs before a trial may be stopped, and between two comparisons of a population."""
    return max(1, epochs // 4)


def changeable(space: Space) -> list[str]:
    """Return the searched keys that may change during a training."""
    return [key for key in space.search if key in CHANGEABLE]
