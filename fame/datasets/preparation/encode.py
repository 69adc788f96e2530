"""Turns the ids of chunks into codes, and checks ids and ratings row by row.

An id is compared by its text. When every id of a column is the plain form of an integer
(`str(int(text)) == text`), the column's ids are int64, else they stay text. An id is missing where the file has null or
nothing. Every other text is an id, also words such as NULL. (An unquoted word of `fame.tables.table.MISSING_WORDS` in a
text file is null.)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from fame.errors import UserError
from fame.tables.columns import as_array, id_texts, numbers
from fame.tables.table import Rows

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
PLAIN_INTEGER = r"^(0|-?[1-9][0-9]{0,18})$"
PIECE = 1 << 20
"""Ids that are Python's texts at a time."""


@dataclass(frozen=True, kw_only=True)
class Ids:
    """The ids of a chunk: row `k` has `distinct[places[k]]`."""

    distinct: Any
    places: np.ndarray
    suspicious: Mapping[str, int] = field(default_factory=dict)
    """Rows of each suspicious id, before any was left out."""
    trimmed: frozenset[str] = frozenset()
    """Ids that had blanks around them."""

    def kept(self, keep: np.ndarray) -> Ids:
        """The rows where `keep` is true; all distinct ids stay."""
        return replace(self, places=self.places[keep])


class IdEncoder:
    """Gives the ids of one column codes 0, 1, … in order of appearance.

    The distinct ids are one Arrow array. Looking up new ids costs time by the number of known ones, so look up many at once.
    """

    def __init__(self, role: str, *, blanks: bool = False) -> None:
        """`blanks`: blanks around an id are layout and do not belong to it."""
        self.role = role
        self._blanks = blanks
        self._known: Any = None
        """Distinct ids in order of appearance: int64, large_string from the first text on, None before the first id."""
        self._suspicious: dict[str, int] = {}
        """Rows of each suspicious id."""
        self._trimmed: set[str] = set()

    def __len__(self) -> int:
        return 0 if self._known is None else len(self._known)

    def encode(self, column: Any, rows: Rows) -> np.ndarray:
        """Codes of a chunk's ids, int32."""
        return self.codes([read_ids(column, self.role, rows, blanks=self._blanks)])[0]

    def codes(self, parts: Sequence[Ids]) -> list[np.ndarray]:
        """Codes of the ids of several chunks, int32. `notes` knows what was suspicious in them."""
        for part in parts:
            self._trimmed |= part.trimmed
            for text, count in part.suspicious.items():
                self._suspicious[text] = self._suspicious.get(text, 0) + count
        lookup = self._look_up([part.distinct for part in parts])
        ends = np.cumsum([len(part.distinct) for part in parts])
        return [found[part.places] for part, found in zip(parts, np.split(lookup, ends[:-1]), strict=True)]

    def add(self, texts: list[str]) -> None:
        """Make ids known that no interaction names."""
        import pyarrow as pa

        self._look_up([pa.array(texts, pa.large_string())])

    def ids(self) -> np.ndarray:
        """The id of every code: int64, or text where any id is not the plain form of an integer."""
        import pyarrow as pa

        known = self._plain()
        if pa.types.is_integer(known.type):
            return known.to_numpy()
        return _as_numpy(known)

    def sorted_ids(self) -> tuple[np.ndarray, np.ndarray]:
        """The ids in order, integers by value and text by code point, and the code of each."""
        import pyarrow as pa
        import pyarrow.compute as pc

        known = self._plain()
        order = pc.array_sort_indices(known)
        ids = known.take(order)
        codes = order.to_numpy().astype(np.int32)
        return (ids.to_numpy() if pa.types.is_integer(ids.type) else _as_numpy(ids)), codes

    def notes(self, row_count: int) -> list[str]:
        """Warnings about ids that are probably not meant."""
        import pyarrow as pa
        import pyarrow.compute as pc

        role, notes, texts = self.role, [], self._known
        suspicious = dict(self._suspicious)
        numbers = pa.types.is_integer(texts.type)
        if "-1" in suspicious:
            negative = pc.less(texts, -1) if numbers else pc.match_substring_regex(texts, r"^-([2-9]|1\d)\d{0,17}$")
            if pc.any(negative).as_py():
                suspicious.pop("-1")  # one of many negative ids
        for text, count in sorted(suspicious.items(), key=lambda pair: -pair[1])[:3]:
            notes.append(
                f"warning: {count:,} of {row_count:,} rows ({count / row_count:.1%}) have the {role} id {text!r}; if it "
                "stands for a missing value, leave these rows out with --where"
            )
        if self._trimmed:
            notes.append(f"blanks around {len(self._trimmed):,} {role} ids are left out")
        if numbers:
            return notes
        blank = [] if self._blanks else texts.filter(pc.not_equal(pc.utf8_trim_whitespace(texts), texts))
        if len(blank):
            notes.append(f"warning: {len(blank):,} {role} ids have blanks around them, such as {blank[0].as_py()!r}")
        fractions = texts.filter(pc.ends_with(texts, ".0"))
        twice = fractions.filter(pc.is_in(pc.utf8_slice_codeunits(fractions, 0, -2), texts))
        if len(twice):
            first = twice[0].as_py()
            notes.append(
                f"warning: {len(twice):,} {role} ids are written in two ways, such as {first[:-2]} and {first}, "
                "and count as different; write them in one way"
            )
        nested = texts.filter(pc.match_substring_regex(texts, r"(?s)^[{\[].*[}\]]$"))
        if len(nested):
            notes.append(
                f"warning: {len(nested):,} {role} ids are structures or lists, such as {nested[0].as_py()[:40]}; name a "
                "column of plain ids"
            )
        marked = texts.filter(pc.starts_with(texts, '"'))
        if len(marked):
            notes.append(
                f"warning: {len(marked):,} {role} ids begin with a quotation mark, such as {marked[0].as_py()}"
            )
        return notes

    def _look_up(self, parts: list[Any]) -> np.ndarray:
        """Codes of distinct ids, int32; those that were not known get new ones."""
        import pyarrow as pa

        known = [] if self._known is None else [self._known]
        arrays = [*known, *parts]
        if len({array.type for array in arrays}) > 1:
            arrays = [array.cast(pa.large_string()) for array in arrays]
        encoded = pa.concat_arrays(arrays).dictionary_encode()
        before = len(self)
        self._known = encoded.dictionary
        return encoded.indices.to_numpy(zero_copy_only=False)[before:]

    def _plain(self) -> Any:
        """The known ids, as int64 if each is the plain form of an integer."""
        import pyarrow as pa
        import pyarrow.compute as pc

        known = self._known
        if pa.types.is_integer(known.type) or not pc.all(pc.match_substring_regex(known, PLAIN_INTEGER)).as_py():
            return known
        try:
            return known.cast(pa.int64())
        except pa.ArrowInvalid:  # beyond int64
            return known


def read_ids(column: Any, role: str, rows: Rows, *, blanks: bool = False) -> Ids:
    """Check a chunk's ids, and find the distinct ones. `blanks`: as for `IdEncoder`."""
    import pyarrow as pa
    import pyarrow.compute as pc

    column = id_texts(column, role, rows)
    if column.null_count:
        raise _missing(role, rows, pc.index(column.is_null(), True).as_py())
    encoded = column.dictionary_encode()
    places = encoded.indices.to_numpy(zero_copy_only=False)
    distinct, trimmed = encoded.dictionary, frozenset[str]()
    if pa.types.is_integer(distinct.type):
        try:
            distinct = distinct.cast(pa.int64())
        except pa.ArrowInvalid:  # above the largest int64
            distinct = distinct.cast(pa.large_string())
    else:
        texts = distinct.cast(pa.large_string())
        distinct = pc.utf8_trim_whitespace(texts) if blanks else texts
        _check(distinct, places, role, rows, blanks)
        if blanks:
            trimmed = frozenset(texts.filter(pc.not_equal(distinct, texts)).to_pylist())
    suspicious: dict[str, int] = {}
    for k in np.flatnonzero(_suspicious(distinct)):
        text = str(distinct[k].as_py())
        suspicious[text] = suspicious.get(text, 0) + int(np.count_nonzero(places == k))
    return Ids(distinct=distinct, places=places, suspicious=suspicious, trimmed=trimmed)


def _check(distinct: Any, places: np.ndarray, role: str, rows: Rows, blanks: bool) -> None:
    """Raise `UserError` for a distinct text that is no id."""
    import pyarrow.compute as pc

    def wrong(mask: Any) -> tuple[int, str] | None:
        """The first row with a marked text, and this text."""
        marked = mask.to_numpy(zero_copy_only=False)
        if not marked.any():
            return None
        index = int(np.argmax(marked[places]))
        return index, distinct[int(places[index])].as_py()

    if found := wrong(pc.equal(distinct, "")):
        raise _missing(role, rows, found[0])
    if found := wrong(pc.or_(pc.greater(pc.utf8_length(distinct), LONGEST_ID), pc.match_substring(distinct, "\0"))):
        raise UserError(
            f"{role} id {found[1][:20]!r}… in {rows.name(found[0])}: ids have at most {LONGEST_ID} characters and "
            "no NUL; check that it is the right column"
        )
    if blanks and (found := wrong(pc.match_substring_regex(distinct, "[\r\n]"))):
        raise UserError(
            f"{role} id {found[1][:40]!r} in {rows.name(found[0])} holds a line end; close the quotation mark "
            "before it, or correct the row"
        )


def _missing(role: str, rows: Rows, index: int) -> UserError:
    return UserError(
        f"{role} id in {rows.name(index)} is missing (nothing, or an unquoted word such as NULL); remove the row, "
        "fill it in, or leave such rows out with --where"
    )


def _suspicious(distinct: Any) -> np.ndarray:
    """Return whether each id is a word or number that programs write for a missing value, bool."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_integer(distinct.type):
        return distinct.to_numpy() == -1
    words = pc.is_in(pc.utf8_lower(distinct), pa.array(sorted(SUSPICIOUS), pa.large_string()))
    return words.to_numpy(zero_copy_only=False)


def _as_numpy(texts: Any) -> np.ndarray:
    """Arrow texts as numpy's, piece by piece: Python's texts take much memory."""
    import pyarrow.compute as pc

    found = np.empty(len(texts), f"<U{max(1, pc.max(pc.utf8_length(texts)).as_py() or 1)}")
    for first in range(0, len(texts), PIECE):
        found[first : first + PIECE] = texts.slice(first, PIECE).to_pylist()
    return found


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
