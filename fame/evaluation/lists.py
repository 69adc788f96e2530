"""Metrics of the lists that users get: beyond accuracy.

Letters: U users, K places of a list, V items, W width of an item's vector.

How often items and users occur is counted in the training parts. Of the first k places of all lists:

    coverage@k    share of the items that occur in any list
    popularity@k  mean over the places of the number of interactions with the item
    novelty@k     mean over the places of −log2(n_i / n): n_i of n users met the item; an item that nobody met counts as one
    gini@k        Gini index of how often each item is recommended: 0 all alike, 1 all places to one item
    diversity@k   mean over users of the mean over pairs of their items of 1 − cos(x_i, x_j)

x_i is the item's labels, 1 each, or its text's vector. Items without any are left out of the pairs, and lists without a pair of
the mean. For unit vectors Σ_{i≠j} cos = |Σ x_i|² − n: no pair is ever made.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from fame.datasets.sequences import Sequences
from fame.runtime.parallel import Workers

CHUNK = 1 << 22
"""Numbers of items' vectors that are held at a time."""


@dataclass(frozen=True, kw_only=True)
class Occurrences:
    """How often items occur in the training parts."""

    interactions_V: np.ndarray
    users_V: np.ndarray
    """Users who met the item."""
    users: int
    """Users with a training part."""

    @classmethod
    def of(cls, sequences: Sequences) -> Occurrences:
        known = sequences.known("validation")
        owners = np.repeat(np.arange(len(sequences)), sequences.lengths)[known]
        items, size = sequences.values[known].astype(np.int64) - 1, sequences.item_count
        pairs = np.unique(owners * size + items)
        return cls(
            interactions_V=np.bincount(items, minlength=size),
            users_V=np.bincount(pairs % size, minlength=size),
            users=len(np.unique(owners)),
        )

    @property
    def novelty_V(self) -> np.ndarray:
        """−log2(n_i / n)."""
        return np.log2(max(1, self.users) / np.maximum(self.users_V, 1))


class Vectors(ABC):
    """Items as unit vectors of what describes them; zero for an item without any."""

    width: int

    @abstractmethod
    def rows(self, items: Tensor) -> Tensor:
        """[number of items, W]; items count from 0."""


class LabelVectors(Vectors):
    """Labels of items, each 1/√n of an item's n labels."""

    def __init__(self, texts: Sequence[str]) -> None:
        labels = [sorted({label for part in text.split("|") if (label := part.strip())}) for text in texts]
        number = {label: place for place, label in enumerate(sorted({label for row in labels for label in row}))}
        self.width = len(number)
        self.counts = torch.tensor([len(row) for row in labels])
        self.starts = self.counts.cumsum(0) - self.counts
        self.labels = torch.tensor([number[label] for row in labels for label in row], dtype=torch.int64)

    def rows(self, items: Tensor) -> Tensor:
        counts = self.counts[items]
        owners = torch.repeat_interleave(counts)
        within = torch.arange(len(owners)) - (counts.cumsum(0) - counts)[owners]
        vectors = torch.zeros(len(items), self.width)
        vectors[owners, self.labels[self.starts[items][owners] + within]] = counts[owners].float().rsqrt()
        return vectors


class TextVectors(Vectors):
    """Vectors of items' texts; `known` are the items (from 0) that have one."""

    def __init__(self, known: np.ndarray, vectors: Tensor, item_count: int) -> None:
        self.width = vectors.shape[1]
        self.table_VW = torch.zeros(item_count, self.width)
        self.table_VW[torch.from_numpy(known)] = torch.nn.functional.normalize(vectors.float().cpu())

    def rows(self, items: Tensor) -> Tensor:
        return self.table_VW[items]


def list_metrics(
    lists_UK: Tensor, names: Sequence[str], popularity: Occurrences, workers: Workers, vectors: Vectors | None = None
) -> dict[str, float]:
    """Metrics such as `coverage@10` of the lists of all workers' users.

    lists: items from 0, best first; −1 where a list has ended. All workers must call it.
    """
    found = {}
    for name in names:
        kind, _, k = name.partition("@")
        first_UK = lists_UK[:, : int(k)].cpu()
        if kind == "diversity":
            assert vectors is not None, "diversity needs the items' vectors"
            total, users = workers.sum(_diversity(first_UK, vectors).to(workers.device)).tolist()
            found[name] = total / users if users else 0.0
            continue
        counts = torch.bincount(first_UK[first_UK >= 0], minlength=len(popularity.users_V)).to(workers.device)
        found[name] = _of_counts(kind, workers.sum(counts).cpu().numpy(), popularity)
    return found


def _of_counts(kind: str, counts_V: np.ndarray, popularity: Occurrences) -> float:
    """A metric that follows from how often each item is recommended."""
    if kind == "coverage":
        return float((counts_V > 0).mean())
    if kind == "gini":
        weights_V = 2 * np.arange(1, len(counts_V) + 1) - len(counts_V) - 1
        return float(weights_V @ np.sort(counts_V) / (len(counts_V) * counts_V.sum()))
    values_V = {"popularity": popularity.interactions_V, "novelty": popularity.novelty_V}[kind]
    return float(counts_V @ values_V / counts_V.sum())


def _diversity(lists_UK: Tensor, vectors: Vectors) -> Tensor:
    """Sum over users of the mean distance of their pairs, and the number of users with a pair; float64 [2]."""
    result = torch.zeros(2, dtype=torch.float64)
    for part_UK in lists_UK.split(max(1, CHUNK // max(1, vectors.width * lists_UK.shape[1]))):
        rows = vectors.rows(part_UK.clamp(min=0).flatten()).double().unflatten(0, part_UK.shape)
        rows *= (part_UK >= 0)[..., None]
        n_U = rows.any(-1).sum(1)
        cosines_U = (rows.sum(1).square().sum(1) - n_U) / (n_U * (n_U - 1))
        result += torch.stack([(1 - cosines_U)[n_U > 1].sum(), (n_U > 1).sum()])
    return result
