"""Arrow columns as what the preparation needs: one array, numbers, or ids as text."""

from __future__ import annotations

import uuid
from typing import Any

import numpy as np

from fame.errors import UserError
from fame.tables.table import Rows


def as_array(column: Any) -> Any:
    """One Arrow array, without a dictionary, of whatever a source hands over."""
    import pyarrow as pa

    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    if not isinstance(column, pa.Array):
        column = pa.array(column)
    return column.dictionary_decode() if pa.types.is_dictionary(column.type) else column


def is_text(kind: Any) -> bool:
    import pyarrow as pa

    return pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)


def is_list(kind: Any) -> bool:
    import pyarrow as pa

    return pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)


def numbers(column: Any) -> np.ndarray:
    """A column as float64, NaN where it does not parse. A comma may be the decimal point."""
    import pandas as pd
    import pyarrow as pa
    import pyarrow.compute as pc

    try:
        return column.cast(pa.float64()).to_numpy(zero_copy_only=False)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        if is_text(column.type):
            column = pc.replace_substring_regex(column, r"^\s*([+-]?\d+),(\d+)\s*$", r"\1.\2")
        return pd.to_numeric(pd.Series(column.to_pylist(), dtype=object), errors="coerce").to_numpy(float)


def id_texts(column: Any, role: str, rows: Rows) -> Any:
    """Ids as an Arrow array of integers or text; a null stays null.

    A whole number stored as a fraction or decimal is this number. A UUID is its usual text. Other bytes are text where
    they are UTF-8, else 0x and hexadecimal digits. Raises `UserError` for what is no id.
    """
    import pyarrow as pa

    column = as_array(column)
    kind = column.type
    if getattr(kind, "extension_name", "") == "arrow.uuid":
        values = column.storage.to_pylist()
        return pa.array([None if v is None else str(uuid.UUID(bytes=v)) for v in values], pa.string())
    if pa.types.is_null(kind):
        return column.cast(pa.string())
    if pa.types.is_floating(kind):
        return _whole(column, role, rows)
    if pa.types.is_decimal(kind):
        texts = [None if v is None else format(v, "f") for v in column.to_pylist()]
        plain = [t if t is None or "." not in t else t.rstrip("0").rstrip(".") for t in texts]
        for k, text in enumerate(plain):
            if text is not None and "." in text:
                raise UserError(f"{role} id {text} in {rows.name(k)}: ids must be integers or text")
        return pa.array(plain, pa.string())
    if pa.types.is_fixed_size_binary(kind):
        return pa.array([None if v is None else "0x" + v.hex() for v in column.to_pylist()], pa.string())
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_binary_view(kind):
        return pa.array([None if v is None else _text_of(v) for v in column.to_pylist()], pa.string())
    if not (pa.types.is_integer(kind) or is_text(kind)):
        raise UserError(f"{role} ids must be integers or text, and the column holds {kind}")
    return column


def _whole(column: Any, role: str, rows: Rows) -> Any:
    import pyarrow as pa

    there = column.is_valid().to_numpy(zero_copy_only=False)
    values = column.to_numpy(zero_copy_only=False).astype(np.float64)
    there &= ~np.isnan(values)
    values = np.where(there, values, 0)
    wrong = (values != np.floor(values)) | (np.abs(values) > 2**53)
    if wrong.any():
        k = int(np.argmax(wrong))
        raise UserError(f"{role} id {values[k]} in {rows.name(k)}: ids must be integers or text")
    return pa.array(values.astype(np.int64), mask=~there)


def _text_of(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return "0x" + value.hex()
