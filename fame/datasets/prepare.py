"""From interactions in chunks to sequences: the filters, the order and the numbering.

In this order, each applied once:

1. minimum rating;
2. order by user and time, ties as in the file;
3. repeated user-item pairs: all, or the first of each;
4. iterated k-core: until every user and item has at least `core` interactions;
5. users with fewer than `min_history` or more than `max_history` interactions; items left without any
   vanish, items left with fewer than `core` stay.

Users and items are then numbered by sorted id: integers by value, text by code point. Everything works on
integer codes of the ids, so that the ids themselves are held once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from fame.config import DataConfig
from fame.datasets.columns import as_array
from fame.datasets.encode import IdEncoder, parse_ratings
from fame.datasets.entry import Chunk, Raw
from fame.datasets.splits import ends_of_last, ends_of_parts, parts_by_time
from fame.datasets.tables import Rows
from fame.datasets.times import TimeParser
from fame.errors import UserError


@dataclass(frozen=True, kw_only=True)
class Step:
    """What is left after a step of the preparation."""

    name: str
    users: int
    items: int
    actions: int


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """Sequences and ids; the arrays are those of `fame.datasets.sequences.Sequences`."""

    values: np.ndarray
    offsets: np.ndarray
    validation: np.ndarray
    test: np.ndarray
    begins: dict[str, str]
    """When validation and test begin, where times divide them."""
    user_ids: np.ndarray
    item_ids: np.ndarray
    steps: list[Step]
    notes: list[str]
    """Warnings about ids and times."""


def prepare(raw: Raw, config: DataConfig) -> Prepared:
    """Read and filter interactions. `config` has every preparation field filled in.

    Raises `UserError` for a row that cannot be used, or when a filter leaves nothing.
    """
    interactions = _Interactions(config)
    interactions.read(raw)
    if config.repeats == "drop":
        interactions.drop_repeats()
    interactions.keep_core()
    interactions.keep_histories()
    return interactions.finish(whole_catalogue=raw.whole_catalogue and config.core == 1)


def read_histories(raw: Raw, config: DataConfig) -> Prepared:
    """Read the histories of all users, however short, and all their items. Raises `UserError` as `prepare`."""
    interactions = _Interactions(config)
    interactions.read(raw)
    if config.repeats == "drop":
        interactions.drop_repeats()
    return interactions.finish(whole_catalogue=False)


class _Interactions:
    """Rows as parallel arrays; after `read` they are in order of user and time.

    `users` and `items` are ranks of the sorted ids, so that sorting by them sorts by id.
    """

    def __init__(self, config: DataConfig) -> None:
        self.config = config
        self.steps: list[Step] = []
        self.notes: list[str] = []
        self.time_parser = TimeParser(mixed=config.mixed_times, format=config.time_format)

    def read(self, raw: Raw) -> None:
        """Read all chunks, keep rows with a good rating, and bring them into order."""
        config = self.config
        user_encoder, item_encoder = (IdEncoder(role, blanks=raw.blanks) for role in ("user", "item"))
        time_parser, by = self.time_parser, config.split.by
        users, items, times, parts = [], [], [], []
        rows = 0
        for chunk in raw.interactions(config.min_rating > 0):
            if not len(chunk):
                continue
            there = chunk.rows or Rows(first=rows + 1)
            user, item = user_encoder.encode(chunk.user, there), item_encoder.encode(chunk.item, there)
            time = time_parser.parse(_clock(chunk, config) if by == "time" else chunk.time, there)
            if config.min_rating > 0:
                keep = parse_ratings(chunk.rating, there) >= config.min_rating
                user, item, time = user[keep], item[keep], time[keep]
            rows += len(chunk)
            users.append(user)
            items.append(item)
            times.append(time)
            parts.append(np.full(len(time), chunk.part, np.int8))
        if not rows:
            kept = f" where {' '.join(config.where.split())}" if config.where else ""
            raise UserError(f"{config.path or config.name} has no interactions{kept}; it needs at least one row")
        joined_times = time_parser.finish(times)
        self.notes += [*user_encoder.notes(rows), *item_encoder.notes(rows), *time_parser.notes(joined_times)]
        if raw.whole_catalogue:
            item_encoder.add(raw.items().ids)
        self.user_ids, user_ranks = _sort_ids(user_encoder.ids())
        self.item_ids, item_ranks = _sort_ids(item_encoder.ids())
        self.steps.append(Step(name="read", users=len(self.user_ids), items=len(self.item_ids), actions=rows))
        self.users, self.items = user_ranks[_join(users)], item_ranks[_join(items)]
        if config.min_rating > 0:
            self._record(f"rating ≥ {config.min_rating:g}", "data.min_rating", config.min_rating, "a lower one, or 0")
        joined_parts = _join(parts)
        order = np.lexsort((joined_times, joined_parts, self.users))
        self.users, self.items = self.users[order], self.items[order]
        # What divides the interactions; the last items of each user need nothing more.
        self.marks = {"time": joined_times, "files": joined_parts, "last": joined_parts}[by][order]

    def drop_repeats(self) -> None:
        """Keep the first of each user-item pair."""
        pairs = self.users * np.int64(len(self.item_ids)) + self.items
        order = np.argsort(pairs, kind="stable")
        pairs = pairs[order]
        repeats = order[1:][pairs[1:] == pairs[:-1]]
        if len(repeats):
            keep = np.ones(len(order), bool)
            keep[repeats] = False
            self._select(keep)
            self._record("first of each pair", "data.repeats", "drop", "'keep'")

    def keep_core(self) -> None:
        """Iterated k-core."""
        core = self.config.core
        if core == 1:
            return
        while True:
            good_user = np.bincount(self.users, minlength=1) >= core
            good_item = np.bincount(self.items, minlength=1) >= core
            keep = good_user[self.users] & good_item[self.items]
            if keep.all():
                break
            self._select(keep)
        self._record(f"{core}-core", "data.core", core, "a smaller one (1 switches it off)")

    def keep_histories(self) -> None:
        """Users whose number of interactions is within the limits."""
        low, high = self.config.min_history, self.config.max_history
        counts = np.bincount(self.users)
        self._select((counts >= low)[self.users])
        remedy = f"users with more interactions, at least {self.config.split.shortest} each"
        self._record(f"users with ≥ {low}", "data.min_history", low, remedy)
        if high:
            self._select((counts <= high)[self.users])
            self._record(f"users with ≤ {high}", "data.max_history", high, "a higher one (0 is no limit)")

    def finish(self, *, whole_catalogue: bool) -> Prepared:
        """Number what is left."""
        user_there, lengths = np.unique(self.users, return_counts=True)
        item_there = np.zeros(len(self.item_ids), bool)
        item_there[self.items] = True
        if whole_catalogue:
            item_there[:] = True
        numbers = np.cumsum(item_there).astype(np.int32)
        offsets, split = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64), self.config.split
        begins: dict[str, str] = {}
        if split.by == "time":
            self.marks, begins = parts_by_time(self.marks, split, self.time_parser)
        ends = ends_of_last(offsets, split) if split.by == "last" else ends_of_parts(offsets, self.marks)
        return Prepared(
            values=numbers[self.items],
            offsets=offsets,
            validation=ends[0],
            test=ends[1],
            begins=begins,
            user_ids=self.user_ids[user_there],
            item_ids=self.item_ids[item_there],
            steps=self.steps,
            notes=self.notes,
        )

    def _select(self, keep: np.ndarray) -> None:
        self.users, self.items, self.marks = self.users[keep], self.items[keep], self.marks[keep]

    def _record(self, name: str, key: str, value: object, remedy: str) -> None:
        before = self.steps[-1]
        if not len(self.users):
            raise UserError(
                f"{key} = {value} leaves nothing of {self.config.name}: before it there were {before.users:,} users, "
                f"{before.items:,} items and {before.actions:,} interactions; use {remedy}"
            )
        users, items = (int(np.count_nonzero(np.bincount(codes))) for codes in (self.users, self.items))
        self.steps.append(Step(name=name, users=users, items=items, actions=len(self.users)))


def _clock(chunk: Chunk, config: DataConfig) -> Any:
    """The times of a chunk. Raises `UserError` if it has the order of histories alone."""
    column = chunk.clock if chunk.ordered else chunk.time
    if column is None or set(as_array(column).slice(0, 1).to_pylist()) <= {None, ""}:
        raise UserError(
            f"data.split.by = 'time': {config.path or config.name} has no times, only the order of each history; use by: last"
        )
    return column


def _join(parts: list[np.ndarray]) -> np.ndarray:
    """One array of all chunks; empties the list, so that both are not held for longer than needed."""
    joined = np.concatenate(parts)
    parts.clear()
    return joined


def _sort_ids(ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The ids in order, and the rank of each of the given ones, int32."""
    order = np.argsort(ids, kind="stable")
    ranks = np.empty(len(ids), np.int32)
    ranks[order] = np.arange(len(ids), dtype=np.int32)
    return ids[order], ranks
