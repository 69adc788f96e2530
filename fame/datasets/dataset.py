"""A prepared dataset: sequences, ids, item text, statistics and the fingerprint of the content.

Everything heavy is a numpy array, memory-mapped when it comes from the cache, so that a dataset can be
shared between processes without copying.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from fame.config import DataConfig
from fame.datasets.sequences import Sequences, train_counts

FINGERPRINT_LENGTH = 16


@dataclass(frozen=True, kw_only=True, eq=False)
class TextColumn(Sequence):
    """Strings as one UTF-8 buffer: `data[offsets[i]:offsets[i + 1]]` is string i. uint8; int64, [n + 1]."""

    data: np.ndarray
    offsets: np.ndarray

    @classmethod
    def from_strings(cls, strings: Iterable[str]) -> TextColumn:
        encoded = [s.encode("utf-8", "replace") for s in strings]
        offsets = np.zeros(len(encoded) + 1, np.int64)
        np.cumsum([len(e) for e in encoded], out=offsets[1:])
        return cls(data=np.frombuffer(b"".join(encoded), np.uint8), offsets=offsets)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, index: int) -> str:  # type: ignore[override]
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        index %= len(self)
        return self.data[self.offsets[index] : self.offsets[index + 1]].tobytes().decode("utf-8")

    def __iter__(self) -> Iterator[str]:
        data, offsets = self.data.tobytes(), self.offsets.tolist()
        return (data[a:b].decode("utf-8") for a, b in itertools.pairwise(offsets))


@dataclass(frozen=True, kw_only=True, eq=False)
class Items:
    """The catalogue: item number i, 1..V, has the id `ids[i - 1]` and the texts `columns[name][i - 1]`.

    ids: int64 or text, [V], sorted. An unknown text is "", several labels are joined by `|`.
    """

    ids: np.ndarray
    columns: Mapping[str, TextColumn]

    def __len__(self) -> int:
        return len(self.ids)

    def id(self, number: int) -> int | str:
        """The item's id as it was in the source."""
        assert 1 <= number <= len(self), f"item numbers are 1..{len(self)}, not {number}"
        return self.ids[number - 1].item()

    def title(self, number: int) -> str:
        """The item's title; where none is known its brand and narrowest category, with its id; else the id."""
        title, brand, categories = (self._text(name, number) for name in ("title", "brand", "categories"))
        described = " ".join(part for part in (brand, categories.rpartition("|")[2]) if part)
        return title or (f"{described} ({self.id(number)})" if described else str(self.id(number)))

    def _text(self, column: str, number: int) -> str:
        texts = self.columns.get(column)
        return "" if texts is None else texts[number - 1]

    def number(self, id_text: str) -> int | None:
        """The number of the item with this id, given as text; None if there is none."""
        index = find_id(self.ids, id_text)
        return None if index is None else index + 1


@dataclass(frozen=True, kw_only=True, eq=False)
class Dataset:
    """What `load_dataset` returns."""

    config: DataConfig
    """Every preparation field and the fingerprint filled in: loads exactly this again."""
    sequences: Sequences
    user_ids: np.ndarray
    """int64 or text, [U], sorted; `user_ids[u]` belongs to `sequences[u]`."""
    items: Items
    facets: tuple[str, ...]
    """Columns of `items` whose labels can name a facet."""
    statistics: Mapping[str, Any]
    """`users`, `items`, `actions`, `average_length`, `density`, `longest`, and `steps`: what was left
    (`name`, `users`, `items`, `actions`) after reading and after each filter."""
    source: str
    """Where the data came from, for a person."""
    notes: tuple[str, ...]
    """What a person should know about the preparation: users left out, items without text."""
    fingerprint: str
    items_fingerprint: str

    def user(self, id_text: str) -> int | None:
        """Index of the user with this id, given as text; None if there is none."""
        return find_id(self.user_ids, id_text)

    @cached_property
    def train_counts(self) -> np.ndarray:
        """`fame.datasets.sequences.train_counts`."""
        return train_counts(self.sequences)


def find_id(ids: np.ndarray, text: str) -> int | None:
    """Index in sorted `ids` of the id whose text is `text`."""
    wanted: int | str = text
    if ids.dtype.kind == "i":
        try:
            wanted = int(text)
        except ValueError:
            return None
        if str(wanted) != text or abs(wanted) >= 2**63:
            return None
    index = int(np.searchsorted(ids, wanted))
    return index if index < len(ids) and ids[index] == wanted else None


def content_fingerprint(sequences: Sequences, user_ids: np.ndarray, item_ids: np.ndarray) -> str:
    """Short hash of the content: who did what in which order."""
    digest = hashlib.sha256()
    for array, kind in ((sequences.values, "<i4"), (sequences.offsets, "<i8")):
        digest.update(np.ascontiguousarray(array, kind).tobytes())
    for ids in (item_ids, user_ids):
        digest.update(f"{ids.dtype.kind}{len(ids)}:".encode())
        digest.update(ids.astype("<i8").tobytes() if ids.dtype.kind == "i" else "\0".join(ids.tolist()).encode())
    return digest.hexdigest()[:FINGERPRINT_LENGTH]


def items_fingerprint(columns: Mapping[str, TextColumn]) -> str:
    """Short hash of the item table's text."""
    digest = hashlib.sha256()
    for name in sorted(columns):
        digest.update(name.encode() + b"\0" + columns[name].offsets.astype("<i8").tobytes())
        digest.update(columns[name].data.tobytes())
    return digest.hexdigest()[:FINGERPRINT_LENGTH]


def statistics(sequences: Sequences, steps: list[dict[str, Any]]) -> dict[str, Any]:
    """Figures of Table 1 of the paper, and how the preparation came to them."""
    users, items, actions = len(sequences), sequences.item_count, len(sequences.values)
    return {
        "users": users,
        "items": items,
        "actions": actions,
        "average_length": actions / users,
        "density": actions / (users * items),
        "longest": int(sequences.lengths.max()),
        "steps": steps,
    }
