"""Reads times as numbers that sort, and checks that they are all of one unit.

Whole numbers and fractions stay as they are. Timestamps keep every digit. Texts are ISO 8601 (also with a blank instead
of the T, a decimal comma, a trailing "UTC"), RFC 2822 or numbers. A time without a zone is UTC.
"""

from __future__ import annotations

import datetime
import re
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from fame.errors import UserError
from fame.tables.columns import as_array, is_text, numbers
from fame.tables.dates import ISO, dates_as_usual, dates_in_format, likely_format
from fame.tables.table import Rows
from fame.tables.units import BAND, NAMES, UNITS, UnitCount, between, in_nanoseconds, scaled, shown

OLDEST = int(datetime.datetime(1990, 1, 1, tzinfo=datetime.UTC).timestamp())
"""Unix second before which an interaction is not believed."""
DAY = 86_400
IN_BETWEEN = 0.01
"""Largest share of numbers outside of all units' bands in a column that mixes units. A clock of its own has more."""


@dataclass
class TimeParser:
    """Reads the times of one dataset chunk by chunk.

    The first chunk decides whether a file has numbers or dates.
    """

    mixed: Literal["refuse", "convert"] = "refuse"
    format: str | None = None
    """How texts are written, for `strptime`; None is ISO 8601, RFC 2822 or numbers."""
    _dates: bool | None = None
    _begun: bool = False
    """Whether rows came before."""
    _forms: list[tuple[str | None, str]] = field(default_factory=list)
    """Forms that occur: the unit where the file says it, None for plain numbers, and `i` or `f` for the kind of number."""
    _bands: dict[str, UnitCount] = field(default_factory=lambda: {unit: UnitCount() for unit in UNITS})
    _rows: int = 0
    _other: str = ""
    """The first time that no one believes, with its row."""
    _clocks: int = 0
    """Texts with a time of day."""
    _zoned: int = 0
    """Texts with a time of day and a time zone."""
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
        self._begun = True
        self._look(values, unit, rows)
        return values

    def following(self) -> TimeParser:
        """A parser for the next chunk alone, to be absorbed."""
        return TimeParser(mixed=self.mixed, format=self.format, _dates=self._dates, _begun=self._begun)

    def agrees(self, later: TimeParser) -> bool:
        """Whether a chunk that was read without the chunks before it would be read so after them."""
        return None in (self._dates, later._dates) or self._dates == later._dates

    def absorb(self, later: TimeParser) -> int:
        """Take up what the parser of the next chunk saw. Returns the number of the form of its times, for `unified`."""
        self._dates = later._dates if self._dates is None else self._dates
        self._begun = self._begun or later._begun
        self._forms += [form for form in later._forms if form not in self._forms]
        for unit, band in self._bands.items():
            band.add(later._bands[unit])
        self._rows += later._rows
        self._other = self._other or later._other
        self._clocks += later._clocks
        self._zoned += later._zoned
        self._notes = self._notes or later._notes
        return self._forms.index(later._forms[-1])

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
                times[there] = values if unit is None else scaled(values, finest // UNITS[unit])
        return in_nanoseconds(times) if self._converted else times

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
        return shown(time, self.unit)

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
            band.count += between(values, ends, low, high)[0]
            count, mask = between(values, ends, OLDEST * parts, tomorrow * parts)
            band.believed += count
            believed_any |= mask
        if not self._other and not believed_any.all():
            first = int(np.argmin(believed_any))
            self._other = f"{shown(values[first], unit)} in {rows.name(first)}"

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
        dates = dates_in_format(column, written)
        if not dates.good.all():
            index = int(np.argmin(dates.good))
            raise UserError(
                f"time {column[index].as_py().strip()!r} in {rows.name(index)} is not written as data.time_format = "
                f"{written!r}; correct the format or the row"
            )
        return dates.values, dates.unit

    def _parse_dates(self, column: Any, rows: Rows) -> tuple[np.ndarray, str]:
        dates = dates_as_usual(column)
        self._zoned += dates.zoned
        self._clocks += dates.clocks
        self._dates = self._dates or not dates.good.all()
        self._require(dates.good, column, rows)
        self._dates = True
        return dates.values, dates.unit

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
        first = index == 0 and not self._begun
        if first or self._dates is None:
            rule = "a number (Unix seconds) or an ISO date such as 2024-01-05 22:30:00"
            if written := likely_format(text.strip("'")):
                raise UserError(
                    f"time {text} in {rows.name(index)} is not {rule}; say how it is written: --time-format '{written}'"
                )
        else:
            rule = f"{'a date' if self._dates else 'a number'} as in the rows before it"
        raise UserError(f"time {text} in {rows.name(index)} is not {rule}; correct or remove the row")
