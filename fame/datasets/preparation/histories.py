"""One row per user with a list of items: made into one row per interaction.

A time may be a list of the same length, one time for the whole list, or absent: then the order in the list counts.
A list is a list of Parquet or JSON, or a text such as `[1, 2]`, `1 2` or `1|2`.
"""

from __future__ import annotations

import ast
import json
import re
from typing import Any

import numpy as np

from fame.datasets.entry import Chunk
from fame.errors import UserError
from fame.tables.columns import as_array, is_list, is_text
from fame.tables.table import Rows

ADJACENT = re.compile(r"""(['"])\s+(?=['"])""")
"""Two texts without a comma in between."""


def one_row_each(chunk: Chunk, rows: Rows) -> Chunk:
    """The interactions of a chunk of histories."""
    import pyarrow as pa
    import pyarrow.compute as pc

    items = as_lists(chunk.item, rows)
    lengths = np.nan_to_num(pc.list_value_length(items).to_numpy(zero_copy_only=False).astype(float)).astype(np.int64)
    parents = np.repeat(np.arange(len(items)), lengths)
    where = pa.array(parents)

    def spread(column: Any, role: str) -> Any:
        column = as_array(column)
        if not is_list(column.type) and not _looks_like_list(column):
            return column.take(where)
        values = as_lists(column, rows)
        own = np.nan_to_num(pc.list_value_length(values).to_numpy(zero_copy_only=False).astype(float)).astype(np.int64)
        if (own != lengths).any():
            k = int(np.argmax(own != lengths))
            raise UserError(
                f"{rows.name(k)} has {lengths[k]} items and {own[k]} {role}s; a list of {role}s needs one for each item"
            )
        return pc.list_flatten(values)

    if chunk.time is None:
        starts = np.repeat(np.cumsum(lengths) - lengths, lengths)
        time: Any = np.arange(len(parents)) - starts
    else:
        time = spread(chunk.time, "time")
    return Chunk(
        user=as_array(chunk.user).take(where),
        item=pc.list_flatten(items),
        time=time,
        rating=None if chunk.rating is None else spread(chunk.rating, "rating"),
        ordered=chunk.time is None,
        rows=rows.take(parents),
    )


def as_lists(column: Any, rows: Rows) -> Any:
    """A column of lists, also where they are written as text. Raises `UserError` for a list that numpy cut short."""
    import pyarrow as pa

    column = as_array(column)
    if not is_text(column.type):
        return column
    lists = [None if text is None else split(text) for text in column.to_pylist()]
    for k, values in enumerate(lists):
        if values is not None and ("..." in values or "Ellipsis" in values):
            raise UserError(
                f"the list in {rows.name(k)} is cut short by '...', as numpy prints long ones; write lists in full, for "
                "example with list(values)"
            )
    return pa.array(lists, pa.list_(pa.string()))


def split(text: str) -> list[str | None]:
    """The values in a text such as `[1, 2]`, `['a', 'b']`, `1 2`, `1|2` or `1,2`."""
    found = parsed(text)
    if isinstance(found, list | tuple):
        return [None if value is None else str(value) for value in found]
    inner = text.strip().removeprefix("[").removesuffix("]").strip()
    return [part for part in re.split(r"\s*[|,;]\s*|\s+", inner) if part]


def parsed(text: str) -> Any:
    """The list or mapping that a text writes in JSON or in Python; the text itself where it writes none."""
    stripped = text.strip()
    if stripped[:1] + stripped[-1:] not in ("[]", "{}", "()"):
        return text
    for read in (json.loads, _literal):
        try:
            value = read(stripped)
        except (ValueError, SyntaxError, RecursionError, MemoryError, TypeError):
            continue
        if isinstance(value, set):
            return sorted(value, key=str)
        return value if isinstance(value, list | tuple | dict) else text
    return text


def _literal(text: str) -> Any:
    """A value of Python. Numpy writes `['a' 'b']`, which Python would read as one text."""
    return ast.literal_eval(ADJACENT.sub(r"\1, ", text))


def _looks_like_list(column: Any) -> bool:
    if not is_text(column.type):
        return False
    first = next((text for text in column.to_pylist() if text), "")
    return isinstance(parsed(first), list | tuple) or bool(re.fullmatch(r"\S+(\s+\d+(\.\d+)?)+", first.strip()))
