"""Durations on the command line: `90s`, `30m`, `2h`, `1h30m`, `1d`."""

from __future__ import annotations

import re

from fame.errors import UserError

UNITS = {"d": 86_400, "h": 3_600, "m": 60, "s": 1}
FORM = re.compile("".join(rf"(?:(\d+(?:\.\d+)?){unit})?" for unit in UNITS))


def seconds_of(text: str, option: str) -> float:
    """Return a duration in seconds. Raises `UserError` that names the option."""
    match = FORM.fullmatch(text.replace(" ", "").lower())
    numbers = [float(number or 0) for number in match.groups()] if match else [0.0]
    seconds = sum(number * size for number, size in zip(numbers, UNITS.values(), strict=False))
    if not seconds:
        raise UserError(f"{option} {text}: must be a duration with its unit, such as 90s, 30m, 2h or 1h30m")
    return seconds
