"""Metrics of accuracy: what the places of a user's targets in the ranking are worth.

Letters: U users, N targets of all users.

A rank counts from 0. It is the number of items scored strictly above the target plus half of its ties. So a model that
scores everything alike gets the mean rank of a random order. A target that cannot be found has the rank ∞. With r_1 ≤ …
≤ r_m the ranks of a user's m targets, and sums over those below k:

    HR@k         1 if any is below k, else 0
    recall@k     Σ 1 / m
    precision@k  Σ 1 / k
    NDCG@k       Σ 1 / log2(r_j + 2), divided by the same sum for the ranks 0, 1, …, min(m, k) − 1
    MRR@k        1 / (r_1 + 1)
    MAP@k        Σ j / (r_j + 1) / m

With one target recall is HR, and MAP is MRR.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from fame.config.metrics import split


class Places:
    """Ranks of targets, in order of user and rank.

    counts: number of targets of every user, at least 1 each; None is one each.
    """

    def __init__(self, ranks_N: Tensor, counts_U: Tensor | None = None) -> None:
        ranks_N = ranks_N.double()
        self.single = counts_U is None
        counts_U = torch.ones(len(ranks_N), dtype=torch.int64) if counts_U is None else counts_U.long()
        self.counts_U = counts_U.to(ranks_N.device)
        self.users_N = torch.repeat_interleave(self.counts_U)
        if not self.single:
            order_N = ranks_N.argsort(stable=True)
            ranks_N = ranks_N[order_N[self.users_N[order_N].argsort(stable=True)]]
        self.ranks_N = ranks_N
        self.nth_N = torch.arange(len(ranks_N), device=ranks_N.device) + 1
        self.nth_N -= (self.counts_U.cumsum(0) - self.counts_U)[self.users_N]

    def sum(self, values_N: Tensor) -> Tensor:
        """Sum of values over each user's targets, [U]."""
        if self.single:
            return values_N
        return values_N.new_zeros(len(self.counts_U)).index_add_(0, self.users_N, values_N)

    def hits(self, k: int) -> Tensor:
        """Targets below k of each user, float64 [U]."""
        return self.sum((self.ranks_N < k).double())

    def hr(self, k: int) -> Tensor:
        return self.hits(k).clamp(max=1)

    def recall(self, k: int) -> Tensor:
        return self.hits(k) / self.counts_U

    def precision(self, k: int) -> Tensor:
        return self.hits(k) / k

    def ndcg(self, k: int) -> Tensor:
        ideal_K = (1 / torch.log2(torch.arange(k, device=self.ranks_N.device).double() + 2)).cumsum(0)
        found_U = self.sum(1 / torch.log2(self.ranks_N + 2) * (self.ranks_N < k))
        return found_U / ideal_K[self.counts_U.clamp(max=k) - 1]

    def mrr(self, k: int) -> Tensor:
        return self.sum(1 / (self.ranks_N + 1) * ((self.ranks_N < k) & (self.nth_N == 1)))

    def map(self, k: int) -> Tensor:
        return self.sum(self.nth_N / (self.ranks_N + 1) * (self.ranks_N < k)) / self.counts_U


FORMULAS: dict[str, Callable[[Places, int], Tensor]] = {
    "hr": Places.hr,
    "ndcg": Places.ndcg,
    "recall": Places.recall,
    "precision": Places.precision,
    "mrr": Places.mrr,
    "map": Places.map,
}


def user_metrics(ranks_N: Tensor, names: Sequence[str], counts_U: Tensor | None = None) -> dict[str, Tensor]:
    """Metrics of every user, float64 [U]; `counts` as in `Places`."""
    places = Places(ranks_N, counts_U)
    return {name: FORMULAS[kind](places, k) for name in names for kind, k in [split(name)]}
