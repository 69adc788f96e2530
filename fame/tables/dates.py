"""Dates that are written as text: ISO 8601 and its relatives, RFC 2822, or in a format that the user names."""

from __future__ import annotations

import datetime
import email.utils
import re
from dataclasses import dataclass
from typing import Any

import numpy as np

from fame.errors import UserError

ISO = re.compile(
    r"\d{4}-?\d{2}-?\d{2}(?:[T ]\d.*)?|\d{4}-\d{2}|[A-Z][a-z]{2}, \d{1,2} [A-Z][a-z]{2} \d{4} .*", re.DOTALL
)
CLOCK = r"\d:\d{2}"
ZONE = CLOCK + r"(:\d{2})?(\.\d+)?\s*(Z|[A-Z]{3,4}|[+-]\d{2}(:?\d{2})?)$"
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(?P<exponent>[eE][+-]?\d+)?")


@dataclass(frozen=True, kw_only=True)
class Dates:
    """A column of dates as numbers."""

    values: np.ndarray
    """int64; without meaning where the text is no date."""
    unit: str
    good: np.ndarray
    """Whether each text is a date, bool."""
    clocks: int = 0
    """Texts with a time of day."""
    zoned: int = 0
    """Texts with a time of day and a time zone."""


def looks_like_time(text: str) -> bool:
    """Whether a text is a number or a date."""
    return bool(NUMBER.fullmatch(text.strip()) or ISO.fullmatch(text.strip()))


def dates_in_format(column: Any, written: str) -> Dates:
    """Dates that are written as `written` says, for `strptime`. Raises `UserError` for a format that is none."""
    import pandas as pd
    import pyarrow.compute as pc

    column = pc.utf8_trim_whitespace(column)
    try:
        dates = pd.to_datetime(pd.Series(column.to_pylist(), dtype=object), format=written, utc=True, errors="coerce")
    except ValueError as error:
        raise UserError(f"data.time_format = {written!r}: {error}; use Python's strptime, as %d.%m.%Y %H:%M") from None
    return Dates(values=dates.dt.as_unit("us").astype("int64").to_numpy(), unit="us", good=dates.notna().to_numpy())


def dates_as_usual(column: Any) -> Dates:
    """Dates of ISO 8601, with the liberties that `fame.tables.times` names, or RFC 2822."""
    import pandas as pd
    import pyarrow.compute as pc

    column = pc.utf8_trim_whitespace(column)
    column = pc.replace_substring_regex(column, r"\s*(UTC|GMT)$", "Z")
    column = pc.replace_substring_regex(column, r"(:\d{2}),(\d{1,9})", r"\1.\2")
    column = pc.replace_substring_regex(column, r"^(\d{4})/(\d{2})/(\d{2})", r"\1-\2-\3")
    zoned, clocks = (pc.sum(pc.match_substring_regex(column, pattern)).as_py() for pattern in (ZONE, CLOCK))
    texts = pd.Series(column.to_pylist(), dtype=object)
    dates = pd.to_datetime(texts, format="ISO8601", utc=True, errors="coerce")
    good = dates.notna().to_numpy(copy=True)
    left = np.flatnonzero(~good)
    if len(left):
        others = [_rfc2822(texts[k]) for k in left]
        good[left] = [other is not None for other in others]
        if good.all():
            dates = dates.astype(object)
            dates.iloc[left] = others
            dates = pd.to_datetime(dates, utc=True)
    fine = bool(pc.any(pc.match_substring_regex(column, r"\.\d{7}")).as_py())
    unit = "ns" if fine else "us"
    try:
        values = dates.dt.as_unit(unit)
    except pd.errors.OutOfBoundsDatetime:
        unit, values = "us", dates.dt.as_unit("us")
    return Dates(values=values.astype("int64").to_numpy(), unit=unit, good=good, clocks=clocks, zoned=zoned)


def likely_format(text: str) -> str | None:
    """How a date is written that has the day first and dots, as `05.01.2024 22:30`; None for any other text."""
    match = re.fullmatch(r"\d{1,2}\.\d{1,2}\.(?P<year>\d{4}|\d{2})(?P<time> \d{1,2}:\d{2}(?P<second>:\d{2})?)?", text)
    if match is None:
        return None
    year, time = ("%Y" if len(match["year"]) == 4 else "%y"), (" %H:%M" if match["time"] else "")
    return f"%d.%m.{year}{time}{':%S' if match['second'] else ''}"


def _rfc2822(text: str) -> datetime.datetime | None:
    try:
        parsed = email.utils.parsedate_to_datetime(text.removesuffix("Z") + " GMT" if text.endswith("Z") else text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=datetime.UTC)
