"""Entries of the catalogue of datasets, and the shapes that sources hand to the preparation.

A dataset is one `DatasetEntry`: its recipes, its facets, the paper's figures, and an `Origin` that knows
how to find the data. Whatever differs between datasets is a value or an object in the entry.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias

from fame.config import DataConfig
from fame.errors import UserError, nearest
from fame.tables.table import Rows

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    Column: TypeAlias = pa.Array | pa.ChunkedArray | np.ndarray

Report = Callable[[str], None]
"""Takes one line for the person at the keyboard."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A named preparation: the value of each preparation field that the configuration leaves open."""

    note: str = ""
    min_rating: float = 0.0
    core: int = 5
    min_history: int = 3
    max_history: int = 0
    repeats: Literal["keep", "drop"] = "drop"
    """`drop` by default: evaluation leaves seen items out of the ranking, a repeat could never be found."""


@dataclass(frozen=True, kw_only=True)
class PaperRow:
    """The dataset's row in Table 1 of the FAME paper, as printed; None where we do not have the printed figure."""

    users: int
    items: int
    actions: int
    average_length: float | None = None
    density_percent: float | None = None
    note: str = ""
    """Says which figure is a misprint."""


@dataclass(frozen=True, kw_only=True)
class Chunk:
    """Some rows of interactions, in file order; the columns have the same length."""

    user: Column
    item: Column
    time: Column | None
    """None only for histories that are lists: then their order counts."""
    rating: Column | None = None
    ordered: bool = False
    """Whether `time` is the order alone: numbers that count, and no times."""
    clock: Column | None = None
    """The times where `time` is the order alone, as far as they are known."""
    part: int = 0
    """Part of the split that the rows belong to, where files are split: 0 training, 1 validation, 2 test."""
    rows: Rows | None = None
    """Where the rows are in the file; None: one after the other, from the first."""
    read: int = 0
    """Rows of the user's table that were read for it."""
    kept: int = 0
    """Rows read for which the user's condition holds."""

    def __len__(self) -> int:
        return len(self.user)


ChunkSource = Callable[[bool], Iterator[Chunk]]
"""Reads the chunks of a file; the argument says whether ratings are needed."""


@dataclass(frozen=True, kw_only=True)
class ItemTable:
    """Text of items: `columns[name][row]` belongs to the item whose id, as text, is `ids[row]`."""

    ids: list[str]
    columns: dict[str, list[str]]


@dataclass(frozen=True, kw_only=True)
class Raw:
    """A dataset as its source has it. Both parts are read when they are asked for."""

    interactions: Sequence[ChunkSource]
    """The files, in order."""
    items: Callable[[], ItemTable | None]
    whole_catalogue: bool = False
    """Items that occur in `items` alone belong to the dataset too, as long as no k-core is asked for."""
    partial_items: str | None = None
    """File to name in a warning when `items` does not cover every item; None: gaps are normal."""
    blanks: bool = False
    """Whether blanks around an id are layout and do not belong to it."""
    columns: Mapping[str, str] = field(default_factory=dict)
    """The column of each role, as far as it is read; complete once everything is read."""
    notes: Callable[[], list[str]] = list
    """Lines for the user about the source, once everything is read."""


@dataclass(frozen=True, kw_only=True)
class Source:
    """Where a dataset was found."""

    description: str
    """For a person: the file or package."""
    identity: Any
    """Plain values that change whenever the content may have changed; part of the cache's key."""
    read: Callable[[], Raw]


class Origin(Protocol):
    """Knows how to find a dataset; raises `UserError` if it cannot."""

    def resolve(self, config: DataConfig) -> DataConfig:
        """`config` with the origin's own fields checked and completed."""

    def locate(self, name: str, config: DataConfig, report: Report) -> Source: ...


@dataclass(frozen=True, kw_only=True)
class DatasetEntry:
    """All that is known about a dataset before it is read."""

    about: str
    origin: Origin
    recipes: dict[str, Recipe]
    """The first one is the default."""
    facets: tuple[str, ...] = ()
    """Item columns whose labels can name a facet; a source may lack some of them."""
    paper: PaperRow | None = None
    citation: str = ""
    licence: str = ""
    enrich: Callable[[dict[str, list[str]]], dict[str, list[str]]] = field(default=lambda columns: columns)
    """Adds item columns that follow from those of the source."""

    def resolve(self, config: DataConfig) -> DataConfig:
        """`config` with every preparation field filled in from the recipe it names."""
        name = config.recipe or next(iter(self.recipes))
        if name not in self.recipes:
            raise UserError(f"data.recipe = {name!r}: unknown for {config.name}; {nearest(name, self.recipes)}")
        usual = self._usual(name, config)
        chosen = {key: value if getattr(config, key) is None else getattr(config, key) for key, value in usual.items()}
        return self.origin.resolve(replace(config, recipe=name, **chosen))

    def recipe_text(self, config: DataConfig) -> str:
        """The recipe of `config`, and what is prepared otherwise: `5-core, but core 1`."""
        name = config.recipe or next(iter(self.recipes))
        usual = self._usual(name, config)
        changed = [f"{key} {value}" for key in usual if (value := getattr(config, key)) not in (None, usual[key])]
        return f"{name}, but {', '.join(changed)}" if changed else name

    def _usual(self, name: str, config: DataConfig) -> dict[str, Any]:
        """The preparation fields as the recipe has them, for the split of `config`."""
        usual = {one.name: getattr(self.recipes[name], one.name) for one in fields(Recipe) if one.name != "note"}
        return usual | {"min_history": max(usual["min_history"], config.split.shortest)}
