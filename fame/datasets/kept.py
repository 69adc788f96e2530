"""Tables in memory, kept in the cache as Parquet files under the hash of their content."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fame.datasets.cache import cache_root, locked, writable
from fame.datasets.entry import Report
from fame.errors import UserError, nearest
from fame.runtime.files import as_created


def keep_table(table: Any, report: Report, columns: Sequence[str] | None = None, named: Sequence[str] = ()) -> str:
    """Path of the Parquet file with the rows of a table; one of the same content is written once.

    `columns` are kept, all by default; `named` are columns that must be there. Raises `UserError`.
    """
    import pyarrow as pa
    from pyarrow import parquet

    arrow = _as_arrow(table, columns)
    _check(arrow.column_names, named)
    folder = cache_root() / "tables"
    with locked("tables", report), writable():
        folder.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(prefix=".table-", suffix=".parquet", dir=folder)
        os.close(handle)
        try:
            try:
                parquet.write_table(arrow, temporary, row_group_size=1 << 18)
            except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
                raise UserError(f"cannot keep the table as Parquet: {' '.join(str(error).split())[:160]}") from None
            with open(temporary, "rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()[:16]
            target = folder / f"{digest}.parquet"
            if not target.exists():
                as_created(Path(temporary))
                os.replace(temporary, target)
        finally:
            if os.path.exists(temporary):
                os.unlink(temporary)
    return str(target)


def _check(there: Sequence[str], columns: Sequence[str]) -> None:
    for name in columns:
        if name not in there:
            raise UserError(f"the table has no column {name!r}: {nearest(name, there)}")


def _as_arrow(table: Any, columns: Sequence[str] | None) -> Any:
    import pandas as pd
    import pyarrow as pa

    try:
        if isinstance(table, pd.DataFrame):
            # an index with a name is data, the plain numbering is not
            named = any(name is not None for name in table.index.names)
            frame = table.reset_index() if named else table
            if columns is not None:
                _check([str(name) for name in frame.columns], columns)
                frame = frame[list(columns)]
            return pa.Table.from_pandas(frame, preserve_index=False)
        arrow = pa.table(table).replace_schema_metadata(None)
        if columns is not None:
            _check(arrow.column_names, columns)
        return arrow if columns is None else arrow.select(list(columns))
    except UserError:
        raise
    except (pa.ArrowException, TypeError, ValueError) as error:
        raise UserError(
            f"cannot use {type(table).__name__} as a table: {' '.join(str(error).split())[:160]}; give a data frame or an "
            "Arrow table with one type in each column"
        ) from None
