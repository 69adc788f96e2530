"""The catalogue of a dataset: ids of the items and their texts."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, kw_only=True, eq=False)
class TextColumn(Sequence[str]):
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
