"""HR@k and NDCG@k of ranks, one relevant item each.

A rank counts from 0: the number of items scored strictly above the target plus half of its ties, so
that a model which scores everything alike gets the rank of a random order on average.
HR@k = [rank < k]; NDCG@k = [rank < k] / log2(rank + 2).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def metric_sums(ranks_U: Tensor, cutoffs: Sequence[int]) -> dict[str, Tensor]:
    """Sum of every metric over users, float64 scalars; divide by the number of users for the mean."""
    return {name: values_U.sum() for name, values_U in user_metrics(ranks_U, cutoffs).items()}


def user_metrics(ranks_U: Tensor, cutoffs: Sequence[int]) -> dict[str, Tensor]:
    """Every metric of every user, float64 [U]."""
    ranks_U = ranks_U.double()
    gain_U = 1 / torch.log2(ranks_U + 2)
    values = {}
    for k in cutoffs:
        inside_U = ranks_U < k
        values[f"hr@{k}"] = inside_U.double()
        values[f"ndcg@{k}"] = gain_U * inside_U
    return values
