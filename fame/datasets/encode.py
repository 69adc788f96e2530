"""Turns the ids of chunks into codes, and checks ids and ratings row by row.

An id is compared by its text. When every id of a column is the plain form of an integer
(`str(int(text)) == text`), the column's ids are int64, else they stay text. An id is missing where the file has null or
nothing; every other text is an id, words such as NULL included (`fame.datasets.tables.MISSING_WORDS` says where an
unquoted word in a text file is null).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fame.datasets.columns import as_array, id_texts, numbers
from fame.datasets.tables import Rows
from fame.errors import UserError

LONGEST_ID = 200
"""Ids are kept in fixed-width arrays, and a longer text is a sign of the wrong column."""
SUSPICIOUS = frozenset(
    {
        "null",
        "nan",
        "none",
        "na",
        "n/a",
        "#n/a",
        "#ref!",
        "#value!",
        "#name?",
        "<na>",
        "\\n",
        "nil",
        "undefined",
        "unknown",
        "missing",
        "anonymous",
    }
    | {"guest", "(none)", "(null)", "(not set)", "00000000-0000-0000-0000-000000000000", "-1"}
)
"""Texts, in lower case, that programs write for a missing value."""


class IdEncoder:
    """Gives the ids of one column codes 0, 1, … in order of appearance."""

    def __init__(self, role: str, *, blanks: bool = False) -> None:
        """`blanks`: blanks around an id are layout and do not belong to it."""
        self.role = role
        self._blanks = blanks
        self._codes: dict[str, int] = {}
        self._suspicious: dict[str, int] = {}
        """Rows of each suspicious id."""
        self._trimmed: set[str] = set()

    def encode(self, column: Any, rows: Rows) -> np.ndarray:
        """Codes of a chunk's ids, int32."""
        import pyarrow as pa
        import pyarrow.compute as pc

        column = id_texts(column, self.role, rows)
        if column.null_count:
            self._missing(rows, pc.index(column.is_null(), True).as_py())
        encoded = column.dictionary_encode()
        texts = encoded.dictionary.cast(pa.string()).to_pylist()
        indices = encoded.indices.to_numpy(zero_copy_only=False)
        lookup = np.empty(len(texts), np.int32)
        codes = self._codes
        for k, text in enumerate(texts):
            code = codes.get(text)
            if code is None:
                code = self._new(text, indices, k, rows)
            lookup[k] = code
            if text.lower() in SUSPICIOUS:
                self._suspicious[text] = self._suspicious.get(text, 0) + int(np.count_nonzero(indices == k))
        return lookup[indices]

    def add(self, texts: list[str]) -> None:
        """Make ids known that no interaction names."""
        for text in texts:
            self._codes.setdefault(text, len(self._codes))

    def ids(self) -> np.ndarray:
        """The id of every code: int64, or text where any id is not the plain form of an integer."""
        texts = list(self._codes)
        plain = [_plain_integer(text) for text in texts]
        return np.array(texts, dtype=np.str_) if None in plain else np.array(plain, dtype=np.int64)

    def notes(self, row_count: int) -> list[str]:
        """Warnings about ids that are probably not meant."""
        role, notes = self.role, []
        suspicious = dict(self._suspicious)
        if any(text[0] == "-" and text != "-1" and _plain_integer(text) for text in self._codes):
            suspicious.pop("-1", None)  # one of many negative ids
        for text, count in sorted(suspicious.items(), key=lambda pair: -pair[1])[:3]:
            notes.append(
                f"warning: {count:,} of {row_count:,} rows ({count / row_count:.1%}) have the {role} id {text!r}; if it "
                "stands for a missing value, leave these rows out with --where"
            )
        if self._trimmed:
            notes.append(f"blanks around {len(self._trimmed):,} {role} ids are left out")
        texts = self._codes
        blank = [text for text in texts if text[0].isspace() or text[-1].isspace()] if not self._blanks else []
        if blank:
            notes.append(f"warning: {len(blank):,} {role} ids have blanks around them, such as {blank[0]!r}")
        twice = [text for text in texts if text.endswith(".0") and text[:-2] in texts]
        if twice:
            notes.append(
                f"warning: {len(twice):,} {role} ids are written in two ways, such as {twice[0][:-2]} and {twice[0]}, "
                "and count as different; write them in one way"
            )
        nested = [text for text in texts if text[0] in "{[" and text[-1] in "}]"]
        if nested:
            notes.append(
                f"warning: {len(nested):,} {role} ids are structures or lists, such as {nested[0][:40]}; name a column of "
                "plain ids"
            )
        marked = [text for text in texts if text[0] == '"']
        if marked:
            notes.append(f"warning: {len(marked):,} {role} ids begin with a quotation mark, such as {marked[0]}")
        return notes

    def _new(self, text: str, indices: np.ndarray, k: int, rows: Rows) -> int:
        """Check a text that was not seen before; its code."""

        def index() -> int:
            return int(np.argmax(indices == k))

        plain = text.strip() if self._blanks else text
        if not plain:
            self._missing(rows, index())
        if len(plain) > LONGEST_ID or "\0" in plain:
            raise UserError(
                f"{self.role} id {plain[:20]!r}… in {rows.name(index())}: ids have at most {LONGEST_ID} characters and no "
                "NUL; check that it is the right column"
            )
        if self._blanks and ("\n" in plain or "\r" in plain):
            raise UserError(
                f"{self.role} id {plain[:40]!r} in {rows.name(index())} holds a line end; close the quotation mark before "
                "it, or correct the row"
            )
        if plain != text:
            self._trimmed.add(text)
        return self._codes.setdefault(plain, len(self._codes))

    def _missing(self, rows: Rows, index: int) -> None:
        raise UserError(
            f"{self.role} id in {rows.name(index)} is missing (nothing, or an unquoted word such as NULL); remove the row, "
            "fill it in, or leave such rows out with --where"
        )


def _plain_integer(text: str) -> int | None:
    """The int64 that `text` is the plain form of."""
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdigit()) or len(digits) > 19:
        return None
    if digits[0] == "0" and text != "0":  # "-0" is no plain form either
        return None
    number = int(text)
    return number if -(2**63) <= number < 2**63 else None


def parse_ratings(column: Any, rows: Rows) -> np.ndarray:
    """Ratings of a chunk, float64. One that is missing cannot be compared with `min_rating`: an error."""
    column = as_array(column)
    found = numbers(column)
    if not np.isfinite(found).all():
        index = int(np.argmin(np.isfinite(found)))
        value = column[index].as_py()
        raise UserError(
            f"rating {str('' if value is None else value)[:40]!r} in {rows.name(index)} is not a number; "
            "correct the row, or set data.min_rating to 0 to use no ratings"
        )
    return found
