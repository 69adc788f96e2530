"""Transitions: a Markov chain over items; a line of sanity, without training.

Letters: B batch, T time, R targets, V items, C some of the items, P pairs that occur, E those of them that start with the
last items of a batch.

What came after an item in the training parts comes after it again. With c(u→v) the weighted number of times that v
follows u, at distances d up to `window`, each counted 1/d ("sequential rules", Ludewig & Jannach, 2018), and P(v) the
items' popularity,

    score_v = log P(v | u),   P(v | u) = (c(u→v) + μ P(v)) / (Σ_w c(u→w) + μ),   u the last item of the history.

`window: 1` is the chain itself. Pairs that occur are kept, sorted, and no table of V × V. The score is no dot product,
so the model brings a `Scorer`; its query is the number of the last item.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from fame.config import Count, Positive
from fame.datasets.batches import Batch
from fame.datasets.sequences import Sequences
from fame.losses.objective import Objective
from fame.models.base import EXACT, EpochStart, SequentialModel
from fame.models.baselines.popularity import CountingConfig, log_popularity
from fame.models.scoring import EVERY, Scorer, every
from fame.registry import models

PAIRS_AT_ONCE = 1 << 24
"""Pairs that are counted together, about: sorting them takes 50 bytes each."""
PAIRS = ("pairs_P", "counts_P")
"""Buffers whose size the data decide."""


@dataclass(frozen=True, kw_only=True)
class TransitionConfig(CountingConfig):
    """Recommends what followed the last item, most often first."""

    name: Literal["transition"] = "transition"
    window: Count = 1
    """Largest distance at which an item counts as one that follows."""
    smoothing: Positive = 1.0
    """μ, how many transitions the items' popularity is worth."""


@models.register("transition")
class Transition(SequentialModel, Scorer):
    """Items score by how often they followed the last one; the model is its own scorer."""

    Config = TransitionConfig
    log_popularity_V: Tensor
    totals_V: Tensor
    pairs_P: Tensor
    counts_P: Tensor
    offsets_V1: Tensor

    def __init__(self, config: TransitionConfig, item_count: int, max_length: int) -> None:
        super().__init__()
        self.config, self.item_count = config, item_count
        self.register_buffer("log_popularity_V", torch.zeros(item_count))
        self.register_buffer("totals_V", torch.zeros(item_count))
        self.register_buffer("pairs_P", torch.zeros(0, dtype=torch.int64))
        self.register_buffer("counts_P", torch.zeros(0))
        self.register_buffer("offsets_V1", torch.zeros(item_count + 1, dtype=torch.int64), persistent=False)

    def _load_from_state_dict(self, state_dict: dict[str, Tensor], prefix: str, *args: Any) -> None:
        for name in PAIRS:
            setattr(self, name, getattr(self, name).new_empty(state_dict[prefix + name].shape))
        super()._load_from_state_dict(state_dict, prefix, *args)
        self._find_rows()

    def _find_rows(self) -> None:
        """Find where the pairs of each first item begin."""
        starts_V1 = torch.arange(self.item_count + 1, device=self.pairs_P.device) * self.item_count
        self.offsets_V1 = torch.searchsorted(self.pairs_P, starts_V1)

    def start_epoch(self, epoch: EpochStart) -> None:
        pairs, counts = transitions(epoch.sequences, self.config.window)
        self.pairs_P = torch.from_numpy(pairs).to(self.pairs_P)
        self.counts_P = torch.from_numpy(counts).to(self.counts_P)
        first_P = self.pairs_P.div(self.item_count, rounding_mode="floor")
        self.totals_V = torch.zeros_like(self.totals_V).index_add_(0, first_P, self.counts_P)
        self.log_popularity_V.copy_(log_popularity(epoch.sequences))
        self._find_rows()

    def hidden(self, items_BT: Tensor, lengths_B: Tensor) -> Tensor:
        return items_BT[..., None]

    def forward(self, batch: Batch, objective: Objective = EXACT) -> Tensor:
        """The cross entropy of the probabilities; `objective` has no part in it."""
        last_R, targets_R = self.queries(batch)[:, 0] - 1, batch.targets_R - 1
        return -self._log_probability(self._count(last_R * self.item_count + targets_R), last_R, targets_R).sum()

    def scorer(self) -> Scorer:
        return self

    def scores(self, queries_BD: Tensor, items: slice | Tensor = EVERY, out: Tensor | None = None) -> Tensor:
        last_B = queries_BD[:, 0] - 1
        row_E, entry_E = entries_of(self.offsets_V1, last_B)
        item_E, count_E = self.pairs_P[entry_E] % self.item_count, self.counts_P[entry_E]
        if isinstance(items, slice):
            asked_C, (start, stop, _) = items, items.indices(self.item_count)
            place_E, asked_E = item_E - start, (item_E >= start) & (item_E < stop)
        else:
            asked_C, place_of_C = items.unique(return_inverse=True)
            place_E, out = torch.searchsorted(asked_C, item_E).clamp(max=len(asked_C) - 1), None
            asked_E = asked_C[place_E] == item_E
        if not every(items):
            row_E, item_E, count_E, place_E = (of_E[asked_E] for of_E in (row_E, item_E, count_E, place_E))
        # Few items have followed the last one, and only these need a logarithm of their own.
        scores_BC = torch.sub(self._log_expected()[asked_C], self._log_total(last_B)[:, None], out=out)
        scores_BC.index_put_((row_E, place_E), self._log_probability(count_E, last_B[row_E], item_E))
        return scores_BC if isinstance(items, slice) else scores_BC[:, place_of_C]

    def _count(self, pairs_R: Tensor) -> Tensor:
        """Counts of pairs, 0 for those that do not occur, [R]."""
        if not len(self.pairs_P):
            return self.counts_P.new_zeros(len(pairs_R))
        place_R = torch.searchsorted(self.pairs_P, pairs_R).clamp(max=len(self.pairs_P) - 1)
        return self.counts_P[place_R] * (self.pairs_P[place_R] == pairs_R)

    def _log_probability(self, counts_R: Tensor, last_R: Tensor, items_R: Tensor) -> Tensor:
        """Log P of pairs with these counts, [R]."""
        return (counts_R + self._log_expected()[items_R].exp()).log() - self._log_total(last_R)

    def _log_expected(self) -> Tensor:
        """Log of μ P(v), [V]."""
        return self.log_popularity_V + math.log(self.config.smoothing)

    def _log_total(self, last_R: Tensor) -> Tensor:
        return (self.totals_V[last_R] + self.config.smoothing).log()


def entries_of(offsets_V1: Tensor, rows_R: Tensor) -> tuple[Tensor, Tensor]:
    """Return the entries of rows (from 0) of a table that `offsets_V1` cuts: which row, and which entry, each [E]."""
    length_R = offsets_V1[rows_R + 1] - offsets_V1[rows_R]
    which_E = torch.repeat_interleave(length_R)
    within_E = torch.arange(which_E.shape[0], device=rows_R.device) - (length_R.cumsum(0) - length_R)[which_E]
    return which_E, offsets_V1[rows_R][which_E] + within_E


def transitions(sequences: Sequences, window: int, most: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Pairs that occur in the training parts, and their counts c, float32.

    The pair u→v is the number (u − 1) · V + v − 1, int64; pairs are sorted. most: only the most frequent so many of each u,
    of equal ones those with lower numbers.
    """
    V, values = sequences.item_count, sequences.values.astype(np.int64) - 1
    left = np.repeat(sequences.validation, sequences.lengths) - np.arange(len(values))
    # Some first items at a time: the pairs of all would take 50 bytes for each interaction and distance.
    block_V = np.bincount(values, minlength=V).cumsum() * window // PAIRS_AT_ONCE
    blocks = []
    for first_item, end in itertools.pairwise([0, *(np.flatnonzero(np.diff(block_V)) + 1), V]):
        keys, weights = [], []
        ours = (values >= first_item) & (values < end)
        for distance in range(1, window + 1):
            (first,) = np.nonzero(ours & (left > distance))  # both lie in the training part of the same user
            keys.append(values[first] * V + values[first + distance])
            weights.append(np.full(len(first), 1 / distance))
        pairs, which = np.unique(np.concatenate(keys), return_inverse=True)
        counts = np.bincount(which, weights=np.concatenate(weights), minlength=len(pairs)).astype(np.float32)
        kept = slice(None) if most is None else _most_frequent(pairs // V, counts, most)
        blocks.append((pairs[kept], counts[kept]))
    return np.concatenate([pairs for pairs, _ in blocks]), np.concatenate([counts for _, counts in blocks])


def _most_frequent(rows_P: np.ndarray, counts_P: np.ndarray, most: int) -> np.ndarray:
    """Places, in order, of the `most` largest counts of each row; rows are sorted."""
    order = np.lexsort((-counts_P, rows_P))
    place_in_row = np.arange(len(rows_P)) - np.searchsorted(rows_P, rows_P)
    return np.sort(order[place_in_row < most])
