"""Parameters whose best value lies at an end of what was searched: there may be better ones beyond."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from tuning.space import Space
from tuning.space.domains import Choices, Domain, is_number

NEAR = 0.05
"""A real number in this outer share of its range lies at the end."""


def edges(space: Space, best: Mapping[str, Any]) -> list[str]:
    """A line for each parameter of the best point that lies at an end beyond which there are allowed values."""
    found = []
    for key, value in best.items():
        domain = space.search[key].domain
        for side, beyond in _beyond(domain, value).items():
            if space.config_problem({**best, key: beyond}) is None:
                found.append(
                    f"{key} = {_shown(value)} is at the {side} end of what was searched ({domain}): "
                    f"values {'below' if side == 'lower' else 'above'} it may be better"
                )
    return found


def _beyond(domain: Domain, value: Any) -> dict[str, Any]:
    """For each end that the value lies at, a value that goes one step further."""
    if isinstance(domain, Choices):
        return _beyond_choices(domain, value)
    low, high, log = domain.low, domain.high, domain.log
    if low == high:
        return {}
    place = math.log(value / low) / math.log(high / low) if log else (value - low) / (high - low)
    whole = isinstance(low, int)
    near = 0.0 if whole or domain.step is not None else NEAR
    step = domain.step or (1 if whole else (high - low) * NEAR)
    found = {}
    if place <= near:
        found["lower"] = low / 2 if log and not whole else low - step
    if place >= 1 - near:
        found["upper"] = high * 2 if log else high + step
    return found


def _beyond_choices(domain: Choices, value: Any) -> dict[str, Any]:
    """Choices have ends if they are numbers."""
    choices = sorted(choice for choice in domain.choices if is_number(choice))
    if len(choices) != len(domain.choices) or len(choices) < 2:
        return {}
    kind = int if all(isinstance(choice, int) for choice in choices) else float
    found = {}
    if value == choices[0]:
        # Half of it, as far as that is another number: 0 and the number 1 go on below zero.
        smaller = kind(choices[0] / 2)
        found["lower"] = smaller if smaller not in (choices[0], 0) else choices[0] - 1
    if value == choices[-1]:
        found["upper"] = kind(choices[-1] * 2) or 1
    return found


def _shown(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
