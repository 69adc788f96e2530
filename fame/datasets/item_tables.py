"""Item tables: the id of each item, and its texts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from fame.datasets.entry import ItemTable
from fame.datasets.preparation.histories import parsed
from fame.errors import UserError
from fame.tables.columns import as_array, id_texts, is_text
from fame.tables.names import columns_there, find_column, plain_column
from fame.tables.table import FileTable, Rows, clear_errors

TITLE_NAMES = (
    "title",
    "name",
    "productname",
    "producttitle",
    "itemname",
    "itemtitle",
    "product",
    "label",
    "titel",
    "bezeichnung",
    "produktname",
    "artikelname",
    "produkt",
    "artikelbezeichnung",
)
"""Names of columns with titles in an item table, compared in the same way."""
ITEM_ID_NAMES = ("item_id", "item", "id")


def read_items(table: FileTable, id_column: str) -> ItemTable:
    """A whole item table as text; a value that is missing is "", a list is its labels joined by `|`."""
    import pyarrow as pa

    ids: list[str] = []
    names = [name for name in table.columns if name != id_column]
    texts: dict[str, list[str]] = {name: [] for name in names}
    with clear_errors(table.name, "an item table"):
        for batch in table.batches(table.columns):
            found = id_texts(batch.columns.column(id_column), "item", batch.rows)
            there = found.is_valid()
            ids.extend(
                text.strip() if table.blanks else text for text in found.filter(there).cast(pa.string()).to_pylist()
            )
            for name in names:
                texts[name].extend(_texts(batch.columns.column(name).filter(there), name in table.lists))
    return ItemTable(ids=ids, columns=texts)


def _texts(column: Any, listed: bool) -> list[str]:
    import pyarrow as pa

    column = as_array(column)
    kind = column.type
    if getattr(kind, "extension_name", "") == "arrow.uuid":
        return id_texts(column, "item", Rows()).fill_null("").to_pylist()
    if pa.types.is_map(kind):
        return ["" if v is None else "|".join(labels(dict(v))) for v in column.to_pylist()]
    if pa.types.is_nested(kind):
        return ["" if v is None else "|".join(labels(v)) for v in column.to_pylist()]
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind):
        return id_texts(column, "item", Rows()).fill_null("").to_pylist()
    if not is_text(kind):
        return column.cast(pa.string()).fill_null("").to_pylist()
    values = column.fill_null("").to_pylist()
    if listed and not any(isinstance(parsed(value), list | tuple) for value in values):
        return ["|".join(value.split()) for value in values]  # a sequence of RecBole's
    nested = (parsed(value) if value[:1] in ("[", "{") else value for value in values)
    return [value if isinstance(value, str) else "|".join(labels(value)) for value in nested]


def labels(value: Any) -> list[str]:
    """The labels in a value: those of a list however deep, the name of a structure that has one, else its fields."""
    if value is None:
        return []
    if isinstance(value, str):
        inner = parsed(value) if value[:1] in ("[", "{") else value
        return [value] * bool(value) if inner is value else labels(inner)
    if isinstance(value, Mapping):
        named = value.get("name")
        if isinstance(named, str) and named:
            return [named]
        return [f"{key}: {', '.join(labels(below))}" for key, below in value.items() if labels(below)]
    if isinstance(value, list | tuple):
        return [label for below in value for label in labels(below)]
    return [str(value).lower() if isinstance(value, bool) else str(value)]


def item_id_column(table: FileTable, item_column: str, given: str | None) -> str:
    """Return the column of ids in an item table: the one given, else one with the name it has in the interactions."""
    if given is not None:
        return find_column(table, given, "item id")
    choices = [item_column, *ITEM_ID_NAMES]
    for name in choices:
        if name in table.columns:
            return name
    plain = {plain_column(name): name for name in reversed(table.columns)}
    for name in choices:
        if plain_column(name) in plain:
            return plain[plain_column(name)]
    raise UserError(
        f"{table.name} has no item id column (one of {', '.join(dict.fromkeys(choices))}); name it with --item-id NAME; "
        f"{columns_there(table)}"
    )


def guessed_title(columns: Iterable[str]) -> str | None:
    """The column of an item table that holds the titles by its name; None if there is none, or it is called `title`."""
    plain = {plain_column(name): name for name in columns}
    found = next((plain[name] for name in TITLE_NAMES if name in plain), None)
    return None if found is None or found.lower() == "title" else found
