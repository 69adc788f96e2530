"""Parquet files, with every type that an id, a time or a text may have there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from fame.tables.columns import is_list
from fame.tables.places import DataFile
from fame.tables.table import FileTable, clear_errors, unique_labels

if TYPE_CHECKING:
    import pyarrow as pa

ROWS_IN_BATCH = 1 << 18


def open_parquet(file: DataFile) -> FileTable:
    """The table in a Parquet file."""
    import pyarrow as pa
    from pyarrow import parquet

    with clear_errors(file.name, "Parquet"), file.random_access() as stream, parquet.ParquetFile(stream) as opened:
        schema = opened.schema_arrow
        logical = {c.path: str(c.logical_type) for c in map(opened.schema.column, range(len(opened.schema)))}
    labels = unique_labels(schema.names)
    repeated = frozenset(name for name in schema.names if schema.names.count(name) > 1)
    uuids = {n for n in labels if logical.get(n) == "UUID"}

    def read(columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        eager = file.filesystem is not None
        with (
            clear_errors(file.name, "Parquet"),
            file.random_access() as stream,
            parquet.ParquetFile(stream, pre_buffer=eager) as opened,
        ):
            # by name Arrow cannot tell columns apart that have the same
            chosen = None if repeated else list(columns)
            for batch in opened.iter_batches(batch_size=ROWS_IN_BATCH, columns=chosen, use_threads=False):
                if repeated:
                    batch = batch.rename_columns(labels)
                for name in uuids.intersection(columns):
                    column = batch.column(name)
                    if pa.types.is_fixed_size_binary(column.type):
                        typed = pa.ExtensionArray.from_storage(pa.uuid(), column)
                        batch = batch.set_column(batch.schema.get_field_index(name), name, typed)
                yield batch.select(list(columns))

    return FileTable(
        name=file.name,
        columns=labels,
        read=read,
        lists=frozenset(label for label, field in zip(labels, schema, strict=True) if is_list(field.type)),
        repeated=repeated,
    )
