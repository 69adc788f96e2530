"""Keeps the rows of a table for which an SQL condition holds, such as `event = 'purchase' AND price > 10`.

DuckDB evaluates it on each batch. It sees the columns of the table and nothing else: no file, no other row.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from fame.errors import UserError
from fame.tables.columns import is_text
from fame.tables.table import TableBatch

TEXTS = re.compile(r"'(?:[^']|'')*'")
NAMES = re.compile(r'"(?:[^"]|"")*"')
ALONE = re.compile(r"\b(select|over|from|pragma|attach|copy|random|uuid|gen_random_uuid|setseed)\b|;", re.IGNORECASE)
"""Words of conditions that look at more than one row, or that hold at one time and not at another."""
ROW_NUMBER = "\x01row"


class RowCondition:
    """A condition over the columns of a table."""

    def __init__(self, text: str, columns: Sequence[str]) -> None:
        self.text = text
        words = TEXTS.sub("''", text)
        found = ALONE.search(NAMES.sub('""', words))
        if not text.strip() or found:
            rule = f"{found[0]!r} is not possible in it" if found else "is empty"
            raise UserError(
                f"data.where = {text!r}: {rule}; give a condition on one row, for example \"event = 'purchase'\""
            )
        lower = words.lower()
        self.columns = [name for name in columns if name.lower() in lower]

    def filter(self, batches: Iterable[TableBatch]) -> Iterator[TableBatch]:
        """The rows for which the condition holds. A column of text that holds nothing but numbers counts as numbers."""
        import duckdb
        import pyarrow as pa

        settings: dict[str, Any] = {"enable_external_access": False, "lock_configuration": True, "threads": 1}
        with duckdb.connect(config=settings) as connection:
            for batch in batches:
                columns = batch.columns
                try:
                    try:
                        rows = self._rows(connection, columns, _recognised)
                    except duckdb.ConversionException:  # other rows of a column that holds numbers here hold text
                        rows = self._rows(connection, columns, lambda column: column)
                except duckdb.Error as error:
                    raise self._wrong(error, columns.schema.names) from None
                if len(rows) < columns.num_rows:
                    batch = replace(batch, columns=columns.take(pa.array(rows)), rows=batch.rows.take(rows))
                yield batch

    def _rows(self, connection: Any, columns: Any, read: Callable[[Any], Any]) -> np.ndarray:
        """Positions of the rows for which the condition holds, with the values of each column as `read` returns them."""
        import pyarrow as pa

        names = [name for name in self.columns if name in columns.schema.names]
        arrays = [read(columns.column(name)) for name in names]
        relation = connection.from_arrow(pa.table([*arrays, np.arange(columns.num_rows)], names=[*names, ROW_NUMBER]))
        kind = relation.project(f"({self.text}\n)").types[0]
        if str(kind) != "BOOLEAN":
            raise UserError(f"data.where = {self.text!r}: is {kind}, not true or false; compare it with a value")
        kept = relation.filter(f"({self.text}\n)").project(f'"{ROW_NUMBER}"')
        return np.sort(kept.fetchnumpy()[ROW_NUMBER]).astype(np.int64)

    def _wrong(self, error: Exception, columns: Sequence[str]) -> UserError:
        first = "".join(c if c.isprintable() else " " for c in str(error).split("\n")[0])
        first = re.sub(r"^[\w-]+( \w+)? Error: ", "", " ".join(first.split()))[:200]
        return UserError(
            f"data.where = {self.text!r}: {first}; text is written in 'single' quotation marks, a column as its name "
            'or in "double" ones'
        )


def _recognised(column: Any) -> Any:
    """A text column as numbers if all its values are. With leading zeros they are not: "007" stays text."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if not is_text(column.type) or column.null_count == len(column):
        return column
    zeros = pc.any(pc.match_substring_regex(column, r"^\s*[+-]?0[0-9]")).as_py()
    for kind in () if zeros else (pa.int64(), pa.float64()):
        try:
            return column.cast(kind)
        except pa.ArrowInvalid:
            continue
    return column
