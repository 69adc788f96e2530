"""Reads times as numbers that sort, and checks that they are all of one unit.

Whole numbers and fractions stay as they are, timestamps keep every digit they have, texts are ISO 8601 (with a blank
instead of the T, a decimal comma, a trailing "UTC"), RFC 2822 or numbers. A time without a zone is UTC.
"""

from __future__ import annotations

import datetime
import email.utils
import re
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from fame.datasets.columns import as_array, is_text, numbers
from fame.datasets.tables import Rows
from fame.errors import UserError

UNITS = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
"""Parts of a second in each unit of a Unix time."""
NAMES = {"s": "seconds", "ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds"}
BAND = (10**8, 4_102_444_800)
"""Unix seconds from 1973 to 2100. A number in this band of a unit may be a time in this unit."""
OLDEST = int(datetime.datetime(1990, 1, 1, tzinfo=datetime.UTC).timestamp())
"""Unix second before which an interaction is not believed."""
DAY = 86_400
IN_BETWEEN = 0.01
"""Largest share of numbers outside of all units' bands in a column that mixes units. A clock of its own has more."""
ISO = re.compile(
    r"\d{4}-?\d{2}-?\d{2}(?:[T ]\d.*)?|\d{4}-\d{2}|[A-Z][a-z]{2}, \d{1,2} [A-Z][a-z]{2} \d{4} .*", re.DOTALL
)
CLOCK = r"\d:\d{2}"
ZONE = CLOCK + r"(:\d{2})?(\.\d+)?\s*(Z|[A-Z]{3,4}|[+-]\d{2}(:?\d{2})?)$"
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(?P<exponent>[eE][+-]?\d+)?")


def looks_like_time(text: str) -> bool:
    """Whether a text is a number or a date."""
    return bool(NUMBER.fullmatch(text.strip()) or ISO.fullmatch(text.strip()))


@dataclass
class _Band:
    """What was seen of numbers that may be times in one unit."""

    count: int = 0
    believed: int = 0
    """Those from 1990 to tomorrow."""
    first: str = ""
    """A value and its row."""


@dataclass
class TimeParser:
    """Reads the times of one dataset chunk by chunk.

    The first chunk decides whether a file has numbers or dates.
    """

    mixed: Literal["refuse", "convert"] = "refuse"
    format: str | None = None
    """How texts are written, for `strptime`; None is ISO 8601, RFC 2822 or numbers."""
    _dates: bool | None = None
    form: int = 0
    """Number of the form of the times that `parse` returned last; `unified` needs it."""
    _forms: list[tuple[str | None, str]] = field(default_factory=list)
    """Forms that occur: the unit where the file says it, None for plain numbers, and `i` or `f` for the kind of number."""
    _bands: dict[str, _Band] = field(default_factory=lambda: {unit: _Band() for unit in UNITS})
    _rows: int = 0
    _other: str = ""
    """The first time that no one believes, with its row."""
    _clocks: int = 0
    """Texts with a time of day."""
    _zoned: int = 0
    """Those of them that name their zone."""
    _notes: list[str] = field(default_factory=list)
    _converted: bool = False

    def parse(self, column: Any, rows: Rows) -> np.ndarray:
        """Times of a chunk, int64 or float64."""
        import pyarrow as pa

        column = as_array(column)
        self._require(column.is_valid().to_numpy(zero_copy_only=False), column, rows)
        kind, unit = column.type, None
        if pa.types.is_date(kind):
            column, unit = column.cast(pa.timestamp("ms")).cast(pa.int64()), "ms"
        elif pa.types.is_timestamp(kind):
            column, unit = column.cast(pa.int64()), kind.unit
        if pa.types.is_integer(column.type):
            column = self._as_int64(column, rows)
            values = column.to_numpy(zero_copy_only=False)
        elif pa.types.is_floating(kind) or pa.types.is_decimal(kind):
            values = column.cast(pa.float64()).to_numpy(zero_copy_only=False)
            self._require(np.isfinite(values), column, rows)
        elif is_text(kind):
            values, unit = self._parse_text(column, rows)
        else:
            raise UserError(f"times must be numbers, ISO dates or timestamps, and the column holds {kind}")
        form = unit, values.dtype.kind
        if form not in self._forms:
            self._forms.append(form)
        self.form = self._forms.index(form)
        self._look(values, unit, rows)
        return values

    def settle(self) -> None:
        """Decide on one unit for all times. Raises `UserError` if there is none, or the numbers have more than one."""
        units = {unit for unit, _ in self._forms}
        if len(units) > 1 and None in units:
            raise UserError("times are dates in some files and numbers in others; convert them to one of the two")
        if units == {None}:
            self._decide_numbers()

    def unified(self, times: np.ndarray, forms: np.ndarray) -> np.ndarray:
        """Times in the one unit: int64 or float64. `times` has their bits, as int64, `forms` the form of each."""
        if len(self._forms) == 1:
            times = times.view(np.float64 if self._forms[0][1] == "f" else np.int64)
        else:
            finest = max(UNITS.get(unit or "s", 1) for unit, _ in self._forms)
            bits, floats = times, any(kind == "f" for _, kind in self._forms)
            times = np.empty(len(bits), np.float64 if floats else np.int64)
            for number, (unit, kind) in enumerate(self._forms):
                there = forms == number
                values = bits[there].view(np.float64 if kind == "f" else np.int64)
                times[there] = values if unit is None else _scaled(values, finest // UNITS[unit])
        return _in_nanoseconds(times) if self._converted else times

    @property
    def unit(self) -> str | None:
        """Unit of the times that `unified` returns, as far as the file or the size of the numbers says it."""
        if self._converted:
            return "ns"
        units = [unit for unit, _ in self._forms if unit]
        if units:
            return max(units, key=UNITS.__getitem__)
        unit = max(self._bands, key=lambda name: self._bands[name].count)
        return unit if self._bands[unit].count >= 0.5 * self._rows else None

    def moment(self, text: str, key: str) -> int:
        """A date as a time of this data. Raises `UserError` if it is none, or the data have numbers of unknown unit."""
        if self.unit is None:
            raise UserError(f"{key} = {text!r}: the data have no dates but plain numbers; give a number, or a share")
        try:
            if not ISO.fullmatch(text.strip()):
                raise ValueError
            found = np.datetime64(text.strip().removesuffix("Z"), "s")
        except ValueError:
            raise UserError(f"{key} = {text!r}: must be a date such as 2024-01-05 or 2024-01-05 22:30:00") from None
        return int(found.astype(np.int64)) * UNITS[self.unit]

    def shown(self, time: Any) -> str:
        """A time for a person: a date where the unit is known."""
        return _shown(time, self.unit)

    def notes(self, *, all_same: bool) -> list[str]:
        """Warnings about the times. `all_same`: there are several, and they are one and the same."""
        notes = list(self._notes)
        believed = max(band.believed for band in self._bands.values())
        known = (
            any(unit for unit, _ in self._forms) or max(band.count for band in self._bands.values()) >= 0.5 * self._rows
        )
        odd = self._rows - (believed if self.mixed == "refuse" else sum(b.believed for b in self._bands.values()))
        if known and odd and self._rows:
            notes.append(
                f"warning: {odd:,} of {self._rows:,} times ({odd / self._rows:.1%}) lie before 1990 or after tomorrow, "
                f"the first is {self._other}; check the column and its unit"
            )
        if 0 < self._zoned < self._clocks:
            notes.append(
                f"warning: {self._clocks - self._zoned:,} of {self._clocks:,} times name no zone and count as UTC, the others "
                "name one; check that the histories have the right order"
            )
        if all_same:
            notes.append("warning: all times are the same, so the order of the rows is the order of the histories")
        return notes

    def _as_int64(self, column: Any, rows: Rows) -> Any:
        import pyarrow as pa

        try:
            return column.cast(pa.int64())
        except pa.ArrowInvalid:
            floats = column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
            self._require(floats < 2.0**63, column, rows)
            raise

    def _look(self, values: np.ndarray, unit: str | None, rows: Rows) -> None:
        """Count which units the numbers may have."""
        if not len(values):
            return
        tomorrow = int(datetime.datetime.now(datetime.UTC).timestamp()) + DAY
        ends = values.min(), values.max()
        self._rows += len(values)
        believed_any = np.zeros(len(values), bool)
        for name, parts in UNITS.items():
            if unit is not None and name != unit:
                continue
            band = self._bands[name]
            low, high = BAND[0] * parts, BAND[1] * parts
            if not band.first and ends[1] >= low and ends[0] < high:
                inside = np.flatnonzero((values >= low) & (values < high))
                band.first = f"{values[inside[0]]} in {rows.name(inside[0])}" if len(inside) else ""
            band.count += _between(values, ends, low, high)[0]
            count, mask = _between(values, ends, OLDEST * parts, tomorrow * parts)
            band.believed += count
            believed_any |= mask
        if not self._other and not believed_any.all():
            first = int(np.argmin(believed_any))
            self._other = f"{_shown(values[first], unit)} in {rows.name(first)}"

    def _decide_numbers(self) -> None:
        """Numbers of one unit stay as they are; those of several are an error, or converted when that was asked for."""
        used = [unit for unit, band in self._bands.items() if band.count]
        total = sum(self._bands[unit].count for unit in used)
        if len(used) < 2 or self._rows - total > IN_BETWEEN * self._rows:
            return
        if self.mixed == "refuse":
            one, other = used[0], used[1]
            raise UserError(
                f"times have more than one unit: {self._bands[one].first} is in {NAMES[one]}, "
                f"{self._bands[other].first} in {NAMES[other]}; correct them, or convert all with --mixed-times convert"
            )
        self._converted = True
        counts = ", ".join(f"{self._bands[unit].count:,} in {NAMES[unit]}" for unit in used)
        self._notes.append(f"times of more than one unit are converted: {counts}")

    def _parse_text(self, column: Any, rows: Rows) -> tuple[np.ndarray, str | None]:
        import pyarrow as pa
        import pyarrow.compute as pc

        if self.format is not None:
            return self._parse_format(column, rows, self.format)
        if not self._dates:
            try:
                whole = column.cast(pa.int64())
                self._dates = False
                return whole.to_numpy(zero_copy_only=False), None
            except pa.ArrowInvalid:
                column = pc.utf8_trim_whitespace(column)
                found = numbers(column)
            if self._dates is None:
                self._dates = not np.isfinite(found[0])
            if not self._dates:
                self._require(np.isfinite(found), column, rows)
                self._check_digits(column)
                whole = np.abs(found) < 2.0**53
                if (whole & (found == np.floor(found))).all():
                    return found.astype(np.int64), None
                return found, None
        return self._parse_dates(column, rows)

    def _parse_format(self, column: Any, rows: Rows, written: str) -> tuple[np.ndarray, str]:
        import pandas as pd
        import pyarrow.compute as pc

        column = pc.utf8_trim_whitespace(column)
        try:
            dates = pd.to_datetime(
                pd.Series(column.to_pylist(), dtype=object), format=written, utc=True, errors="coerce"
            )
        except ValueError as error:
            raise UserError(
                f"data.time_format = {written!r}: {error}; use Python's strptime, as %d.%m.%Y %H:%M"
            ) from None
        good = dates.notna().to_numpy()
        if not good.all():
            index = int(np.argmin(good))
            raise UserError(
                f"time {column[index].as_py()!r} in {rows.name(index)} is not written as data.time_format = {written!r}; "
                "correct the format or the row"
            )
        return dates.dt.as_unit("us").astype("int64").to_numpy(), "us"

    def _parse_dates(self, column: Any, rows: Rows) -> tuple[np.ndarray, str]:
        import pandas as pd
        import pyarrow.compute as pc

        column = pc.utf8_trim_whitespace(column)
        column = pc.replace_substring_regex(column, r"\s*(UTC|GMT)$", "Z")
        column = pc.replace_substring_regex(column, r"(:\d{2}),(\d{1,9})", r"\1.\2")
        column = pc.replace_substring_regex(column, r"^(\d{4})/(\d{2})/(\d{2})", r"\1-\2-\3")
        self._zoned += pc.sum(pc.match_substring_regex(column, ZONE)).as_py()
        self._clocks += pc.sum(pc.match_substring_regex(column, CLOCK)).as_py()
        texts = pd.Series(column.to_pylist(), dtype=object)
        dates = pd.to_datetime(texts, format="ISO8601", utc=True, errors="coerce")
        left = np.flatnonzero(dates.isna().to_numpy())
        if len(left):
            others = [_rfc2822(texts[k]) for k in left]
            self._dates = True
            good = np.ones(len(texts), bool)
            good[left] = [other is not None for other in others]
            self._require(good, column, rows)
            dates = dates.astype(object)
            dates.iloc[left] = others
            dates = pd.to_datetime(dates, utc=True)
        self._dates = True
        nanoseconds = bool(pc.any(pc.match_substring_regex(column, r"\.\d{7}")).as_py())
        unit = "ns" if nanoseconds else "us"
        try:
            return dates.dt.as_unit(unit).astype("int64").to_numpy(), unit
        except pd.errors.OutOfBoundsDatetime:
            return dates.dt.as_unit("us").astype("int64").to_numpy(), "us"

    def _check_digits(self, column: Any) -> None:
        """Warn where a spreadsheet has rounded the times to a few digits."""
        first = column[0].as_py()
        match = re.fullmatch(r"\d(?:\.(?P<digits>\d*))?[eE]\+?(?P<exponent>\d{1,2})", first)
        if match and int(match["exponent"]) > len(match["digits"] or "") and not self._notes:
            lost = int(match["exponent"]) - len(match["digits"] or "")
            self._notes.append(
                f"warning: times such as {first} are rounded, their last {lost} digits are lost; export whole numbers"
            )

    def _require(self, good: np.ndarray, column: Any, rows: Rows) -> None:
        if good.all():
            return
        index = int(np.argmin(good))
        value = column[index].as_py()
        text = repr(str("" if value is None else value)[:40])
        first = index == 0 and not self._forms
        if first or self._dates is None:
            rule = "a number (Unix seconds) or an ISO date such as 2024-01-05 22:30:00"
            if written := _likely_format(text.strip("'")):
                raise UserError(
                    f"time {text} in {rows.name(index)} is not {rule}; say how it is written: --time-format '{written}'"
                )
        else:
            rule = f"{'a date' if self._dates else 'a number'} as in the rows before it"
        raise UserError(f"time {text} in {rows.name(index)} is not {rule}; correct or remove the row")


def _likely_format(text: str) -> str | None:
    """How a date is written that has the day first and dots, as `05.01.2024 22:30`; None for any other text."""
    match = re.fullmatch(r"\d{1,2}\.\d{1,2}\.(?P<year>\d{4}|\d{2})(?P<time> \d{1,2}:\d{2}(?P<second>:\d{2})?)?", text)
    if match is None:
        return None
    year, time = ("%Y" if len(match["year"]) == 4 else "%y"), (" %H:%M" if match["time"] else "")
    return f"%d.%m.{year}{time}{':%S' if match['second'] else ''}"


def _between(values: np.ndarray, ends: tuple[Any, Any], low: int, high: int) -> tuple[int, np.ndarray | bool]:
    """How many values lie from `low` to below `high`, and which; quickly where it is all or none of them."""
    if low <= ends[0] and ends[1] < high:
        return len(values), True
    if ends[1] < low or ends[0] >= high:
        return 0, False
    mask = (values >= low) & (values < high)
    return int(np.count_nonzero(mask)), mask


def _scaled(values: np.ndarray, factor: int) -> np.ndarray:
    if factor > 1 and len(values) and max(abs(int(values.min())), abs(int(values.max()))) > (2**63 - 1) // factor:
        raise UserError("times of different precision are too far apart to be compared; correct the dates before 1678")
    return values * factor


def _in_nanoseconds(times: np.ndarray) -> np.ndarray:
    """Numbers of several units, each by its size."""
    converted = np.zeros(len(times), np.int64)
    for unit, parts in UNITS.items():
        inside = times >= BAND[0] * parts if unit != "s" else np.ones(len(times), bool)
        fits = inside & (times < BAND[1] * parts)
        fine = times[fits] * (UNITS["ns"] // parts)
        converted[fits] = fine if times.dtype.kind == "i" else np.round(fine).astype(np.int64)
    return converted


def _shown(value: Any, unit: str | None) -> str:
    if unit is None:
        return str(value)
    return str(np.datetime64(int(value), unit).astype("datetime64[s]")).replace("T", " ")


def _rfc2822(text: str) -> datetime.datetime | None:
    try:
        parsed = email.utils.parsedate_to_datetime(text.removesuffix("Z") + " GMT" if text.endswith("Z") else text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=datetime.UTC)
