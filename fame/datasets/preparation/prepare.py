"""From interactions in chunks to sequences: the filters, the order and the numbering.

In this order, each applied once:

1. minimum rating;
2. order by user and time, ties as in the file;
3. repeated user-item pairs: all, or the first of each;
4. iterated k-core: until every user and item has at least `core` interactions;
5. users with fewer than `min_history` or more than `max_history` interactions; items left without any
   vanish, items left with fewer than `core` stay.

Users and items are then numbered by sorted id: integers by value, text by code point. Everything works on
integer codes of the ids, so that the ids themselves are held once, and on one bucket of users after the other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass

import numpy as np

from fame.config import DataConfig
from fame.datasets.entry import Raw
from fame.datasets.preparation import buckets
from fame.datasets.preparation.buckets import HistoryBlock, RowsByUser, Scratch, Shelf
from fame.datasets.preparation.chunks import Ended, Engine, FileReader, ReadChunk, read_files, read_nothing_elsewhere
from fame.datasets.preparation.encode import IdEncoder, Ids
from fame.datasets.splits import bounds_by_time, ends_of_last, ends_of_parts, parts_by_time
from fame.errors import UserError

PARTS = 3
"""Training, validation and test."""


@dataclass(frozen=True, kw_only=True)
class Step:
    """The numbers of rows, users and items after a step of the preparation."""

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


def prepare(raw: Raw, config: DataConfig, engine: Engine | None = None) -> Prepared:
    """Read and filter interactions. `config` has every preparation field filled in; `engine` may read files.

    Raises `UserError` for a row that cannot be used, or when a filter leaves nothing.
    """
    with closing(Scratch()) as scratch:
        interactions = _Interactions(raw, config, scratch, engine or read_nothing_elsewhere)
        interactions.keep_core()
        interactions.keep_histories()
        return interactions.finish(whole_catalogue=raw.whole_catalogue and config.core == 1)


def read_histories(raw: Raw, config: DataConfig) -> Prepared:
    """Read the histories of all users, however short, and all their items. Raises `UserError` as `prepare`."""
    with closing(Scratch()) as scratch:
        return _Interactions(raw, config, scratch, read_nothing_elsewhere).finish(whole_catalogue=False)


class _Interactions:
    """Histories in buckets, and how many rows each item has. Users and items are codes until `finish`."""

    def __init__(self, raw: Raw, config: DataConfig, scratch: Scratch, engine: Engine) -> None:
        """Read all chunks, keep rows with a good rating, and bring them into order; leave out repeats if told to."""
        self.config = config
        self.steps: list[Step] = []
        self.notes: list[str] = []
        reader = FileReader(config=config, blanks=raw.blanks)
        self.times = reader.new_times()
        self.users, self.items = (IdEncoder(role, blanks=raw.blanks) for role in ("user", "item"))
        rows = RowsByUser(scratch=scratch)
        with closing(engine(reader, raw.interactions)) as elsewhere:
            read = self._add(read_files(reader, raw.interactions, self.times, elsewhere), rows)
        self.times.settle()
        self.notes += [*self.users.notes(read), *self.items.notes(read)]
        if raw.whole_catalogue:
            table = raw.items()
            assert table is not None
            self.items.add(table.ids)
        self.steps.append(Step(name="read", users=len(self.users), items=len(self.items), actions=read))
        self.shelf, self.counts = Shelf(scratch), np.zeros(len(self.items), np.int64)
        ends = []
        for bucket in rows.buckets():
            histories, times = self._ordered(bucket)
            self.shelf.append(histories)
            self.counts += np.bincount(histories.items, minlength=len(self.counts))
            ends += [times.min(), times.max()]
        self.notes += self.times.notes(all_same=self.counts.sum() > 1 and min(ends) == max(ends))
        assert config.min_rating is not None
        if config.min_rating > 0:
            self._record(f"rating ≥ {config.min_rating:g}", "data.min_rating", config.min_rating, "a lower one, or 0")
        if config.repeats == "drop" and self._keep(_first_of_each_pair):
            self._record("first of each pair", "data.repeats", "drop", "'keep'")

    def keep_core(self) -> None:
        """k-core: what is left once no user and no item has too few rows; the order of leaving out does not matter."""
        core = self.config.core
        assert core is not None
        if core == 1:
            return

        def good(histories: HistoryBlock) -> np.ndarray:
            keep = (self.counts >= core)[histories.items]
            owners = histories.owners
            return keep & (np.bincount(owners[keep], minlength=len(histories.users)) >= core)[owners]

        while self._keep(good):
            pass
        self._record(f"{core}-core", "data.core", core, "a smaller one (1 switches it off)")

    def keep_histories(self) -> None:
        """Users whose number of interactions is within the limits."""
        low, high = self.config.min_history, self.config.max_history
        self._keep(lambda histories: np.repeat(histories.lengths >= low, histories.lengths))
        remedy = f"users with more interactions, at least {self.config.split.shortest} each"
        self._record(f"users with ≥ {low}", "data.min_history", low, remedy)
        if high:
            self._keep(lambda histories: np.repeat(histories.lengths <= high, histories.lengths))
            self._record(f"users with ≤ {high}", "data.max_history", high, "a higher one (0 is no limit)")

    def finish(self, *, whole_catalogue: bool) -> Prepared:
        """Number what is left, in the order of the ids."""
        split = self.config.split
        begins: dict[str, str] = {}
        if split.by == "time":
            bounds, begins = bounds_by_time(self._sorted_marks(), split, self.times)
        item_ids, item_codes = self.items.sorted_ids()
        item_there = (self.counts > 0)[item_codes] | whole_catalogue
        numbers = np.zeros(len(self.items), np.int32)
        numbers[item_codes] = np.cumsum(item_there)
        user_ids, user_codes = self.users.sorted_ids()
        lengths = np.zeros(len(self.users), np.int64)
        for histories in self.shelf:
            lengths[histories.users] = histories.lengths
        lengths = lengths[user_codes]
        user_there = lengths > 0
        offsets = np.concatenate([[0], np.cumsum(lengths[user_there])])
        places = np.zeros(len(self.users), np.int64)
        places[user_codes] = np.cumsum(user_there) - 1
        values = np.empty(offsets[-1], np.int32)
        validation, test = (
            ends_of_last(offsets, split) if split.by == "last" else np.empty((2, len(offsets) - 1), np.int64)
        )
        for histories in self.shelf:
            place = places[histories.users]
            own = np.concatenate([[0], np.cumsum(histories.lengths)])
            values[np.repeat(offsets[place] - own[:-1], histories.lengths) + np.arange(own[-1])] = numbers[
                histories.items
            ]
            if split.by != "last":
                assert histories.marks is not None
                marks = parts_by_time(histories.marks, bounds) if split.by == "time" else histories.marks
                for ends, found in zip((validation, test), ends_of_parts(own, marks), strict=True):
                    ends[place] = found + offsets[place] - own[:-1]
        return Prepared(
            values=values,
            offsets=offsets,
            validation=validation,
            test=test,
            begins=begins,
            user_ids=user_ids[user_there],
            item_ids=item_ids[item_there],
            steps=self.steps,
            notes=self.notes,
        )

    def _add(self, chunks: Iterable[ReadChunk | Ended], rows: RowsByUser) -> int:
        """Add the rows of all chunks, and return how many there were. Raises `UserError` if there was none."""
        count = kept = there = 0
        waiting: list[tuple[Ids, Ids, np.ndarray, np.ndarray]] = []
        for found in chunks:
            if isinstance(found, Ended):
                kept, there = kept + found.kept, there + found.read
                continue
            form = np.full(len(found.times), self.times.absorb(found.seen) * PARTS + found.part, np.uint8)
            count += found.rows
            waiting.append((found.users, found.items, found.times.view(np.int64), form))
            if sum(len(form) for *_, form in waiting) >= max(buckets.ROWS_IN_MEMORY, len(self.users), len(self.items)):
                self._spread(waiting, rows)
        self._spread(waiting, rows)
        where = f" where {' '.join(self.config.where.split())}" if self.config.where else ""
        if not count:
            raise UserError(
                f"{self.config.path or self.config.name} has no interactions{where}; it needs at least one row"
            )
        if where:
            self.notes.append(f"{self.config.name}: {kept:,} of {there:,} rows kept{where}")
        return count

    def _spread(self, waiting: list[tuple[Ids, Ids, np.ndarray, np.ndarray]], rows: RowsByUser) -> None:
        """Look up ids of many chunks at once. Empties the list."""
        if waiting:
            users, items, times, forms = zip(*waiting, strict=True)
            waiting.clear()
            rows.add(
                np.concatenate(self.users.codes(users)),
                items=np.concatenate(self.items.codes(items)),
                times=np.concatenate(times),
                forms=np.concatenate(forms),
            )

    def _ordered(self, rows: dict[str, np.ndarray]) -> tuple[HistoryBlock, np.ndarray]:
        """The rows of a bucket in order of user, part and time, ties as in the files; and their times."""
        forms, parts = np.divmod(rows["forms"], PARTS)
        times = self.times.unified(rows["times"], forms)
        users, local, lengths = np.unique(rows["users"], return_inverse=True, return_counts=True)
        local = local.astype(np.uint16) if len(users) <= 1 << 16 else local  # 16 bits are sorted by radix
        order = np.lexsort((times, parts, local) if parts.any() else (times, local))
        marks = {"time": times, "files": parts.astype(np.int8), "last": None}[self.config.split.by]
        return HistoryBlock(
            users=users,
            lengths=lengths,
            items=rows["items"][order],
            marks=None if marks is None else marks[order],
        ), times

    def _keep(self, chosen: Callable[[HistoryBlock], np.ndarray]) -> bool:
        """Keep the chosen rows of each bucket; whether any was left out."""
        changed = False
        for number, histories in enumerate(self.shelf):
            keep = chosen(histories)
            if not keep.all():
                changed = True
                np.subtract.at(self.counts, histories.items[~keep], 1)
                self.shelf[number] = histories.kept(keep)
        return changed

    def _sorted_marks(self) -> np.ndarray:
        marks = np.concatenate([histories.marks for histories in self.shelf if histories.marks is not None])
        marks.sort()
        return marks

    def _record(self, name: str, key: str, value: object, remedy: str) -> None:
        before, actions = self.steps[-1], int(self.counts.sum())
        if not actions:
            raise UserError(
                f"{key} = {value} leaves nothing of {self.config.name}: before it there were {before.users:,} users, "
                f"{before.items:,} items and {before.actions:,} interactions; use {remedy}"
            )
        users, items = self.shelf.user_count, int(np.count_nonzero(self.counts))
        self.steps.append(Step(name=name, users=users, items=items, actions=actions))


def _first_of_each_pair(histories: HistoryBlock) -> np.ndarray:
    """Return whether each row is the first of its user and item, bool."""
    import pandas as pd

    pairs = histories.owners * (histories.items.max(initial=0) + 1) + histories.items
    return ~pd.Series(pairs).duplicated().to_numpy()
