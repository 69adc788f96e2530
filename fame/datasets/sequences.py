"""Interaction sequences as a jagged array, and how they are split.

`values` holds the items of all users one after the other, `offsets` where each user begins:
user u is `values[offsets[u]:offsets[u + 1]]`, oldest first. Items are numbered 1..V; 0 is padding
and never occurs in `values`. The arrays may be memory-mapped or lie in shared memory: nothing here
writes to them.

Leave-one-out: of a user's n items the last is the test target, the one before it the validation
target, and the first n-2 are for training. When the test target is ranked, the validation item is
part of the history.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

Part = Literal["validation", "test"]
PARTS: tuple[Part, ...] = get_args(Part)
HELD_OUT = 2
"""Items at the end of a sequence that training never sees."""


@dataclass(frozen=True, kw_only=True)
class Sequences:
    """Jagged item sequences of U users over V items.

    values: int32, [P]; offsets: int64, [U + 1], rising by at least 3 (leave-one-out needs three).
    """

    values: np.ndarray
    offsets: np.ndarray
    item_count: int
    """V, the number of items; item numbers are 1..V."""

    def __post_init__(self) -> None:
        assert self.values.dtype == np.int32 and self.offsets.dtype == np.int64
        assert self.offsets[0] == 0 and self.offsets[-1] == len(self.values)
        assert (self.lengths > HELD_OUT).all()

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, user: int) -> np.ndarray:
        """All items of one user, [n], oldest first."""
        return self.values[self.offsets[user] : self.offsets[user + 1]]

    @property
    def lengths(self) -> np.ndarray:
        """n of every user, [U]."""
        return np.diff(self.offsets)


@dataclass(frozen=True, kw_only=True)
class Windows:
    """Stretches of `Sequences.values` that a model reads: `values[start:start + length]`.

    starts: int64, [M]; lengths: int64, [M], at least 1. The item after each read item is the target
    of that position, so `values[start + length]` is the target of the last one.
    """

    starts: np.ndarray
    lengths: np.ndarray

    def __len__(self) -> int:
        return len(self.starts)


def evaluation_windows(sequences: Sequences, part: Part, max_length: int) -> Windows:
    """One window per user: the last `max_length` items before the held-out target."""
    ends = sequences.offsets[1:] - (1 if part == "test" else 2)
    lengths = np.minimum(ends - sequences.offsets[:-1], max_length)
    return Windows(starts=ends - lengths, lengths=lengths)


def train_counts(sequences: Sequences) -> np.ndarray:
    """How often each item number occurs in the training parts, int64, [V + 1]; 0 for padding."""
    values, ends, size = sequences.values, sequences.offsets[1:], sequences.item_count + 1
    counts = np.bincount(values, minlength=size)
    for place in range(1, HELD_OUT + 1):
        counts -= np.bincount(values[ends - place], minlength=size)
    return counts


def target_counts(sequences: Sequences) -> np.ndarray:
    """How often each item is a target in training, int64 [V]; entry i is item number i + 1."""
    first = np.bincount(sequences.values[sequences.offsets[:-1]], minlength=sequences.item_count + 1)
    return (train_counts(sequences) - first)[1:]


def training_windows(sequences: Sequences, mode: Literal["all", "prefix"], max_length: int) -> Windows:
    """Windows over the training part in which every (history → next item) pair is met once.

    `prefix`: one window per pair, its history cut to the last `max_length` items; only the target of
    its last position counts. `all`: the pairs of a user tiled from the end into windows of
    `max_length`, so that the newest window is full; every position's target counts.
    """
    begins = sequences.offsets[:-1]
    pairs = np.maximum(sequences.lengths - HELD_OUT - 1, 0)
    if mode == "prefix":
        users = np.repeat(np.arange(len(pairs)), pairs)
        history = 1 + np.arange(pairs.sum()) - np.repeat(np.cumsum(pairs) - pairs, pairs)
        lengths = np.minimum(history, max_length)
        return Windows(starts=begins[users] + history - lengths, lengths=lengths)
    counts = -(-pairs // max_length)
    users = np.repeat(np.arange(len(pairs)), counts)
    nth_from_end = np.repeat(np.cumsum(counts), counts) - 1 - np.arange(counts.sum())
    ends = pairs[users] - nth_from_end * max_length
    starts = np.maximum(ends - max_length, 0)
    return Windows(starts=begins[users] + starts, lengths=ends - starts)
