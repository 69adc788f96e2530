"""Turns the id and time columns of chunks into numbers, and checks them row by row.

An id is compared by its text. When every id of a column is the plain form of an integer
(`str(int(text)) == text`), the column's ids are int64, else they stay text.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fame.errors import UserError

LONGEST_ID = 200
"""Ids are kept in fixed-width arrays, and a longer text is a sign of the wrong column."""


class IdEncoder:
    """Gives the ids of one column codes 0, 1, … in order of appearance."""

    def __init__(self, role: str) -> None:
        self.role = role
        self._codes: dict[str, int] = {}
        self._first_negative: tuple[int, str] | None = None

    def encode(self, column: Any, first_row: int) -> np.ndarray:
        """Codes of a chunk's ids, int32; `first_row` is the 1-based number of its first row."""
        import pyarrow as pa
        import pyarrow.compute as pc

        column = _as_array(column)
        if pa.types.is_dictionary(column.type):
            column = column.dictionary_decode()
        if column.null_count:
            self._missing(first_row + pc.index(column.is_null(), True).as_py())
        if pa.types.is_floating(column.type):
            column = self._integers(column, first_row)
        if not (pa.types.is_integer(column.type) or _is_text(column.type)):
            raise UserError(f"{self.role} ids must be integers or text, and the column holds {column.type}")
        encoded = column.dictionary_encode()
        texts = encoded.dictionary.cast(pa.string()).to_pylist()
        indices = encoded.indices.to_numpy(zero_copy_only=False)
        lookup = np.empty(len(texts), np.int32)
        for k, text in enumerate(texts):
            code = self._codes.get(text)
            if code is None:
                self._check(text, lambda k=k: first_row + int(np.argmax(indices == k)))
                code = self._codes[text] = len(self._codes)
            lookup[k] = code
        return lookup[indices]

    def add(self, texts: list[str]) -> None:
        """Make ids known that no interaction names."""
        for text in texts:
            self._codes.setdefault(text, len(self._codes))

    def ids(self) -> np.ndarray:
        """The id of every code: int64, or text where any id is not the plain form of an integer."""
        texts = list(self._codes)
        numbers = [_plain_integer(text) for text in texts]
        if None in numbers:
            return np.array(texts, dtype=np.str_)
        if self._first_negative:
            row, text = self._first_negative
            raise UserError(
                f"{self.role} id {text} in row {row}: ids must not be negative; check the column or the row"
            )
        return np.array(numbers, dtype=np.int64)

    def _integers(self, column: Any, first_row: int) -> Any:
        values = column.to_numpy(zero_copy_only=False)
        if np.isnan(values).any():
            self._missing(first_row + int(np.argmax(np.isnan(values))))
        wrong = (values != np.floor(values)) | (np.abs(values) > 2**53)
        if wrong.any():
            row = int(np.argmax(wrong))
            raise UserError(f"{self.role} id {values[row]} in row {first_row + row}: ids must be integers or text")
        return _as_array(values.astype(np.int64))

    def _check(self, text: str, row: Any) -> None:
        if not text or text.lower() == "nan":
            self._missing(row())
        if len(text) > LONGEST_ID or "\0" in text:
            raise UserError(
                f"{self.role} id {text[:20]!r}… in row {row()}: ids have at most {LONGEST_ID} characters and no NUL; "
                "check that it is the right column"
            )
        if self._first_negative is None and text[0] == "-" and _plain_integer(text) is not None:
            self._first_negative = (row(), text)

    def _missing(self, row: int) -> None:
        raise UserError(f"{self.role} id in row {row} is missing; remove the row or fill it in")


def _plain_integer(text: str) -> int | None:
    """The int64 that `text` is the plain form of."""
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdigit()) or len(digits) > 19 or (digits[0] == "0" and text != "0"):
        return None
    number = int(text)
    return number if -(2**63) <= number < 2**63 else None


class TimeParser:
    """Reads times as numbers that sort: numbers as they are, ISO dates as microseconds.

    The first chunk decides which of the two a file has.
    """

    def __init__(self) -> None:
        self._dates = False

    def parse(self, column: Any, first_row: int) -> np.ndarray:
        """Times of a chunk, int64 or float64."""
        import pyarrow as pa

        column = _as_array(column)
        self._require(column.is_valid().to_numpy(zero_copy_only=False), column, first_row)
        if pa.types.is_timestamp(column.type) or pa.types.is_date(column.type):
            return column.cast(pa.timestamp("us")).cast(pa.int64()).to_numpy(zero_copy_only=False)
        if pa.types.is_integer(column.type):
            return column.cast(pa.int64()).to_numpy(zero_copy_only=False)
        if pa.types.is_floating(column.type):
            numbers = column.to_numpy(zero_copy_only=False)
            self._require(np.isfinite(numbers), column, first_row)
            return numbers
        if not _is_text(column.type):
            raise UserError(f"times must be numbers, ISO dates or timestamps, and the column holds {column.type}")
        return self._parse_text(column, first_row)

    def _parse_text(self, column: Any, first_row: int) -> np.ndarray:
        import pandas as pd
        import pyarrow as pa

        if not self._dates:
            try:
                return column.cast(pa.int64()).to_numpy(zero_copy_only=False)
            except pa.ArrowInvalid:
                numbers = _numbers(column)
            if first_row == 1:
                self._dates = not np.isfinite(numbers[0])
            if not self._dates:
                self._require(np.isfinite(numbers), column, first_row)
                return numbers
        dates = pd.to_datetime(pd.Series(column.to_pylist()), format="ISO8601", utc=True, errors="coerce")
        self._require(dates.notna().to_numpy(), column, first_row)
        return dates.dt.as_unit("us").astype("int64").to_numpy()

    def _require(self, good: np.ndarray, column: Any, first_row: int) -> None:
        if not good.all():
            row = int(np.argmin(good))
            value, number = str(column[row].as_py() or "")[:40], first_row + row
            kind = "a date" if self._dates else "a number"
            rule = "a number (Unix seconds) or an ISO date" if number == 1 else f"{kind} as in the rows before it"
            raise UserError(f"time {value!r} in row {number} is not {rule}; correct or remove the row")


def parse_ratings(column: Any, first_row: int) -> np.ndarray:
    """Ratings of a chunk, float64. One that is missing cannot be compared with `min_rating`: an error."""
    column = _as_array(column)
    numbers = _numbers(column)
    if not np.isfinite(numbers).all():
        row = int(np.argmin(np.isfinite(numbers)))
        raise UserError(
            f"rating {str(column[row].as_py() or '')[:40]!r} in row {first_row + row} is not a number; "
            "correct the row, or set data.min_rating to 0 to use no ratings"
        )
    return numbers


def _numbers(column: Any) -> np.ndarray:
    """A column as float64, NaN where it does not parse."""
    import pandas as pd
    import pyarrow as pa

    try:
        return column.cast(pa.float64()).to_numpy(zero_copy_only=False)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return pd.to_numeric(pd.Series(column.to_pylist(), dtype=object), errors="coerce").to_numpy(float)


def _is_text(kind: Any) -> bool:
    import pyarrow as pa

    return pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)


def _as_array(column: Any) -> Any:
    import pyarrow as pa

    if isinstance(column, pa.ChunkedArray):
        return column.combine_chunks()
    return column if isinstance(column, pa.Array) else pa.array(column)
