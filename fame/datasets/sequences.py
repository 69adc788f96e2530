"""Interaction sequences as a jagged array, and how they are split.

`values` holds the items of all users one after the other, `offsets` where each user begins:
user u is `values[offsets[u]:offsets[u + 1]]`, oldest first. Items are numbered 1..V; 0 is padding
and never occurs in `values`. The arrays may be memory-mapped or lie in shared memory: nothing here
writes to them.

A user's items are for training first, then for validation, then for test; each part may be empty. When test targets
are ranked, the validation items are part of the history. Without bounds the split is leave-one-out: the last item is the
test target, the one before it the validation target, and the first n-2 are for training.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

Part = Literal["validation", "test"]
PARTS: tuple[Part, ...] = get_args(Part)
BLOCK = 1 << 24
"""Interactions that are counted at a time."""


@dataclass(frozen=True, kw_only=True)
class Sequences:
    """Jagged item sequences of U users over V items.

    values: int32, [P]; offsets: int64, [U + 1], rising.
    """

    values: np.ndarray
    offsets: np.ndarray
    item_count: int
    """V, the number of items; item numbers are 1..V."""
    validation: np.ndarray = None  # type: ignore[assignment]  # made in __post_init__
    """Place in `values` where each user's validation part begins, int64, [U]; by default that of leave-one-out."""
    test: np.ndarray = None  # type: ignore[assignment]
    """Place in `values` where each user's test part begins, int64, [U]."""

    def __post_init__(self) -> None:
        if self.validation is None:
            object.__setattr__(self, "validation", self.offsets[1:] - 2)
            object.__setattr__(self, "test", self.offsets[1:] - 1)
            assert (self.validation > self.offsets[:-1]).all()
        assert self.values.dtype == np.int32
        assert self.offsets.dtype == self.validation.dtype == self.test.dtype == np.int64
        assert self.offsets[0] == 0 and self.offsets[-1] == len(self.values)
        bounds = (self.offsets[:-1], self.validation, self.test, self.offsets[1:])
        assert all((low <= high).all() for low, high in itertools.pairwise(bounds))

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, user: int) -> np.ndarray:
        """All items of one user, [n], oldest first."""
        return self.values[self.offsets[user] : self.offsets[user + 1]]

    @property
    def lengths(self) -> np.ndarray:
        """n of every user, [U]."""
        return np.diff(self.offsets)

    @property
    def leave_one_out(self) -> bool:
        """Whether the last item of every user is for test, and the one before it for validation."""
        ends = self.offsets[1:]
        return bool((self.validation == ends - 2).all() and (self.test == ends - 1).all())

    def history_ends(self, part: Part) -> np.ndarray:
        """Place in `values` where each user's history for a part ends and its targets begin, [U]."""
        return self.test if part == "test" else self.validation

    def known(self, part: Part) -> np.ndarray:
        """Return whether each place of `values` lies before a part, bool, [P]."""
        ends = self.history_ends(part)
        runs = np.stack([ends - self.offsets[:-1], self.offsets[1:] - ends], axis=1)
        return np.repeat(np.tile([True, False], len(self)), runs.ravel())


@dataclass(frozen=True, kw_only=True)
class Targets:
    """Held-out items of all users, jagged: user u has `items[offsets[u]:offsets[u + 1]]`.

    items: item numbers, int64, [N], in the order of `Sequences.values`, each once a user; offsets: int64, [U + 1]. A user
    without a history has no targets: no model can rank them. A number above V is of an item that the model does not know.
    """

    items: np.ndarray
    offsets: np.ndarray

    @property
    def counts(self) -> np.ndarray:
        """Targets of every user, [U]."""
        return np.diff(self.offsets)

    def places(self, users: np.ndarray) -> np.ndarray:
        """Where in `items` the targets of the chosen users lie, user by user."""
        counts = self.counts[users]
        return np.repeat(self.offsets[users] - (np.cumsum(counts) - counts), counts) + np.arange(counts.sum())


def known_items(sequences: Sequences, part: Part) -> np.ndarray:
    """Return whether each item number occurs before a part, for any user, bool, [V + 1]."""
    return _counts(sequences, sequences.known(part)) > 0


def targets(sequences: Sequences, part: Part, known: np.ndarray | None = None) -> Targets:
    """Return what is held out of every user's history in a part; only the items that are `known` (as `known_items`)."""
    starts = sequences.history_ends(part)
    ends = sequences.test if part == "validation" else sequences.offsets[1:]
    counts = np.where(starts > sequences.offsets[:-1], ends - starts, 0)
    users = np.repeat(np.arange(len(sequences)), counts)
    places = np.repeat(starts - (np.cumsum(counts) - counts), counts) + np.arange(counts.sum())
    items = sequences.values[places].astype(np.int64)
    if len(counts) and counts.max() > 1:
        _, first = np.unique(users * (items.max() + 1) + items, return_index=True)
        first.sort()
        users, items = users[first], items[first]
    if known is not None:
        keep = np.append(known, False)[np.minimum(items, len(known))]
        users, items = users[keep], items[keep]
    counts = np.bincount(users, minlength=len(sequences))
    return Targets(items=items, offsets=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64))


@dataclass(frozen=True, kw_only=True)
class Windows:
    """Stretches of `Sequences.values` that a model reads: `values[start:start + length]`.

    starts: int64, [M]; lengths: int64, [M], at least 1. The item after each read item is the target
    of that position, so `values[start + length]` is the target of the last one. targets: int64, [M]; so many
    of the last positions count in training.
    """

    starts: np.ndarray
    lengths: np.ndarray
    targets: np.ndarray = None  # type: ignore[assignment]  # one for each window by default

    def __post_init__(self) -> None:
        if self.targets is None:
            object.__setattr__(self, "targets", np.ones_like(self.lengths))

    def __len__(self) -> int:
        return len(self.starts)


def evaluation_windows(sequences: Sequences, part: Part, max_length: int) -> Windows:
    """One window per user: the last `max_length` items before the held-out ones; empty for a user without any."""
    ends = sequences.history_ends(part)
    lengths = np.minimum(ends - sequences.offsets[:-1], max_length)
    return Windows(starts=ends - lengths, lengths=lengths)


def train_counts(sequences: Sequences) -> np.ndarray:
    """How often each item number occurs in the training parts, int64, [V + 1]; 0 for padding."""
    return _counts(sequences, sequences.known("validation"))


def _counts(sequences: Sequences, chosen: np.ndarray) -> np.ndarray:
    """How often each item number occurs at the chosen places, int64, [V + 1]; block by block, to take little memory."""
    counts = np.zeros(sequences.item_count + 1, np.int64)
    for first in range(0, len(chosen), BLOCK):
        block = slice(first, first + BLOCK)
        counts += np.bincount(sequences.values[block][chosen[block]], minlength=len(counts))
    return counts


def target_counts(sequences: Sequences) -> np.ndarray:
    """How often each item is a target in training, int64 [V]; entry i is item number i + 1."""
    begins = sequences.offsets[:-1][sequences.validation > sequences.offsets[:-1]]
    first = np.bincount(sequences.values[begins], minlength=sequences.item_count + 1)
    return (train_counts(sequences) - first)[1:]


def training_windows(
    sequences: Sequences, mode: Literal["all", "prefix"], max_length: int, targets: int = 1
) -> Windows:
    """Windows over the training part in which every (history → next item) pair is a target once.

    The pairs of a user are tiled from the end, so many a window that the newest window is full: `targets` of them in
    the mode `prefix`, `max_length` in the mode `all`. A window's history is cut to the last `max_length` items.
    """
    targets = max_length if mode == "all" else targets
    begins = sequences.offsets[:-1]
    pairs = np.maximum(sequences.validation - begins - 1, 0)
    counts = -(-pairs // targets)
    users = np.repeat(np.arange(len(pairs)), counts)
    nth_from_end = np.repeat(np.cumsum(counts), counts) - 1 - np.arange(counts.sum())
    ends = pairs[users] - nth_from_end * targets
    lengths = np.minimum(ends, max_length)
    return Windows(starts=begins[users] + ends - lengths, lengths=lengths, targets=np.minimum(ends, targets))
