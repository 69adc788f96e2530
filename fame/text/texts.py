"""The text of an item: what its columns say, as one line."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fame.datasets.items import Items
from fame.errors import UserError, nearest

USUAL = ("title", "text", "description", "brand", "categories", "genres")
"""Columns that are read where none are named, those that the items have."""
INSTEAD_OF_TITLE = "keywords"
"""Read as well where there are no titles, which it is made of."""


def text_columns(items: Items, chosen: Sequence[str] | None) -> list[str]:
    """The columns that make an item's text. Raises `UserError` for one that the items do not have."""
    if chosen is None:
        usual = USUAL if "title" in items.columns else (INSTEAD_OF_TITLE, *USUAL)
        return [name for name in usual if name in items.columns]
    for name in chosen:
        if name not in items.columns:
            raise UserError(f"text.columns: the items have no column {name!r}; {nearest(name, items.columns)}")
    return list(chosen)


def item_texts(items: Items, chosen: Sequence[str] | None) -> list[str]:
    """Text of every item, "" where it has none, [V]; item number i is entry i − 1."""
    columns = [items.columns[name] for name in text_columns(items, chosen)]
    if not columns:
        return [""] * len(items)
    return [". ".join(part.replace("|", ", ") for part in parts if part) for parts in zip(*columns, strict=True)]


def with_text(items: Items, chosen: Sequence[str] | None) -> np.ndarray:
    """Indices (item number − 1) of the items that have text, rising, [N]."""
    return np.flatnonzero([bool(text) for text in item_texts(items, chosen)])
