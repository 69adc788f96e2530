"""A prepared dataset: sequences, ids, item text, statistics and the fingerprint of the content.

Everything heavy is a numpy array, memory-mapped when it comes from the cache, so that a dataset can be
shared between processes without copying.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fame.config import DataConfig
from fame.datasets.items import Items, find_id
from fame.datasets.sequences import Sequences, train_counts
from fame.errors import UserError, nearest
from fame.packages import optional

if TYPE_CHECKING:
    from fame.datasets.entry import Report


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Dataset:
    """Interaction logs, prepared: the history of each user, and what is known about the items.

    `from_pandas`, `from_files` and `named` make one. U users, V items.

        >>> import fame, pandas
        >>> clicks = pandas.DataFrame({"user": ["a"] * 5 + ["b"] * 5, "item": [1, 2, 3, 4, 5] * 2, "time": range(10)})
        >>> data = fame.Dataset.from_pandas(clicks, name="clicks", core=1)
        >>> data
        Dataset(clicks: 2 users, 5 items, 10 interactions, 5.0 a user)
        >>> data.users.tolist()
        ['a', 'b']
    """

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
    """Lines for the user about the preparation: users left out, items without text."""
    fingerprint: str
    items_fingerprint: str
    folder: Path | None = None
    """Where the files of its arrays are. None if it was made in memory."""

    @classmethod
    def from_pandas(
        cls,
        interactions: Any,
        *,
        user: str | None = None,
        item: str | None = None,
        time: str | None = None,
        rating: str | None = None,
        items: Any = None,
        item_id: str | None = None,
        title: str | None = None,
        facets: Sequence[str] = (),
        name: str = "own",
        report: Report | None = None,
        **preparation: Any,
    ) -> Dataset:
        """Prepare a table in memory: a data frame of pandas, or a table with Arrow's interface.

        `user`, `item`, `time` and `rating` name columns of `interactions`; usual names are found without. `items` is a
        table of the items: `item_id` names its column of ids (by default the one called like `item`), `title` the
        titles, and `facets` the labels that the text stage learns from. `preparation` are fields of
        `fame.config.DataConfig`, such as `core=1`, `min_rating=4` or `repeats="keep"`. `report` takes lines for a
        person; they go to standard error by default.

        The table is kept in the cache as a Parquet file, so that trials and a saved model's configuration find it.
        Raises `UserError` for tables, columns or settings that cannot be used.
        """
        from fame.datasets import load_dataset, print_to_stderr  # they make datasets
        from fame.datasets.kept import keep_table

        report = report or print_to_stderr
        columns = _given(user=user, item=item, time=time, rating=rating)
        all_named = {"user", "item", "time"} <= columns.keys() and "where" not in preparation
        with optional():
            path = keep_table(interactions, report, list(columns.values()) if all_named else None)
        if items is not None:
            preparation["items"] = keep_table(items, report, named=[name for name in (title, item_id) if name])
        elif title is not None or facets:
            raise UserError(f"title = {title!r}, facets = {list(facets)}: they are columns of items; give items, too")
        columns |= _given(title=title)
        settings = _given(name=name, path=path, columns=columns or None, item_id=item_id)
        return load_dataset(_config(settings | preparation), report=report)._with_facets(facets)

    @classmethod
    def from_files(
        cls,
        data: str | os.PathLike[str],
        *,
        user: str | None = None,
        item: str | None = None,
        time: str | None = None,
        rating: str | None = None,
        items: str | os.PathLike[str] | None = None,
        title: str | None = None,
        facets: Sequence[str] = (),
        name: str | None = None,
        report: Report | None = None,
        **settings: Any,
    ) -> Dataset:
        """Prepare files: CSV, TSV, Parquet or JSON, a folder, a glob, or an address such as `s3://…` (docs/DATA.md).

        The other arguments are those of `from_pandas`. `settings` are fields of `fame.config.DataConfig`, also the
        ones about files, such as `separator=";"`. Raises `UserError` as `from_pandas`.
        """
        from fame.datasets import load_dataset, print_to_stderr
        from fame.tables.places import plain_name

        path = os.fspath(data)
        columns = _given(user=user, item=item, time=time, rating=rating, title=title)
        named = _given(path=path, columns=columns or None, items=None if items is None else os.fspath(items))
        named["name"] = name or plain_name(path) or "own"
        return load_dataset(_config(named | settings), report=report or print_to_stderr)._with_facets(facets)

    @classmethod
    def named(cls, name: str, *, report: Report | None = None, **preparation: Any) -> Dataset:
        """Load a dataset of the catalogue, such as `ml-20m` (`python -m fame.datasets --list`); it may be downloaded.

        `preparation` are fields of `fame.config.DataConfig`. Raises `UserError` for an unknown name.
        """
        from fame.datasets import load_dataset, print_to_stderr

        return load_dataset(_config({"name": name, **preparation}), report=report or print_to_stderr)

    def __repr__(self) -> str:
        found = self.statistics
        return (
            f"Dataset({self.config.name}: {found['users']:,} users, {found['items']:,} items, "
            f"{found['actions']:,} interactions, {found['average_length']:.1f} a user)"
        )

    @property
    def users(self) -> np.ndarray:
        """Ids of the users as they are in the source, [U], sorted: `model.recommend(users=data.users)`."""
        return self.user_ids

    @property
    def recipe(self) -> str:
        """The recipe of the preparation, and what was set otherwise: `5-core, but core 1`."""
        from fame.datasets import find_entry  # it makes datasets

        return find_entry(self.config).recipe_text(self.config)

    @property
    def settings(self) -> dict[str, Any]:
        """The settings of an experiment on this data: `data.*`, and `text.facets` where facets of own data were named."""
        from fame.config.tree import to_dict  # reads every model's settings

        settings = {f"data.{key}": value for key, value in to_dict(self.config).items()}
        if self.config.path is not None and self.facets:
            settings["text.facets"] = list(self.facets)
        return settings

    def _with_facets(self, facets: Sequence[str]) -> Dataset:
        """The dataset with these columns of its items as facets, if any. Raises `UserError` for an unknown one."""
        for facet in facets:
            column = facet.partition(":")[0]
            if column not in self.items.columns:
                raise UserError(f"facets: the items have no column {column!r}; {nearest(column, self.items.columns)}")
        return replace(self, facets=tuple(facets)) if facets else self

    def user(self, id_text: str) -> int | None:
        """Index of the user with this id, given as text; None if there is none."""
        return find_id(self.user_ids, id_text)

    @cached_property
    def train_counts(self) -> np.ndarray:
        """`fame.datasets.sequences.train_counts`."""
        return train_counts(self.sequences)


def _given(**values: Any) -> dict[str, Any]:
    """Return the values that are not None."""
    return {key: value for key, value in values.items() if value is not None}


def _config(settings: Mapping[str, Any]) -> DataConfig:
    """The `data` section with these settings. Raises `UserError` for an unknown one."""
    from fame.config.tree import section_from_dict  # reads every model's settings

    return section_from_dict(DataConfig, settings, "data")


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


def roles(dataset: Dataset, facets: Sequence[str] | None = None) -> str:
    """Return how columns of own data are used, such as `user = customer, item = sku; of items: title, category`."""
    columns = ", ".join(f"{role} = {name}" for role, name in dataset.statistics.get("columns", {}).items())
    items = f"; of items: {', '.join(dataset.items.columns)}" if dataset.items.columns else ""
    named = f"; facets: {', '.join(facets or dataset.facets)}" if facets or dataset.facets else ""
    return f"{columns}{items}{named}" if columns else ""


def dropped(statistics: Mapping[str, Any]) -> str:
    """Return what the preparation left out, such as `44,672 rows read; 4,832 and 1 user by first of each pair`."""
    parts = []
    for before, after in itertools.pairwise(statistics["steps"]):
        rows, users = before["actions"] - after["actions"], before["users"] - after["users"]
        if rows or users:
            parts.append(
                f"{rows:,}" + (f" and {users:,} user{'s' * (users > 1)}" if users else "") + f" by {after['name']}"
            )
    left = f"; left out {', '.join(parts)}" if parts else ", nothing left out"
    return f"{statistics['steps'][0]['actions']:,} rows read{left}" if statistics["steps"] else ""
