"""Is one model better than another on the same users? Tests on the differences of their metrics, user by user.

Letters: U users, R resamples, K distinct values.

Users with the same difference are interchangeable. So a resample is drawn as the number of times that each of the K
distinct values occurs in it. The distribution is exactly that of drawing users one by one, at a cost of R·K instead of
R·U. A metric such as NDCG@10 has few values, and most users have a difference of 0.

All results are about these trained models on users like these; how much another seed changes is another
question, which several seeds answer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

RESAMPLES = 9_999
"""The smallest p-value is then 1e-4."""
BLOCK = 1 << 22
"""Numbers that are drawn at a time."""
ROUNDING = 1e-12
"""Sums that differ by less than this share of their terms are the same."""


def bootstrap_interval(
    differences_U: np.ndarray, confidence: float = 0.95, resamples: int = RESAMPLES, seed: int = 0
) -> tuple[float, float]:
    """Percentile interval of the mean difference, from resampling users with replacement (paired bootstrap)."""
    values_K, counts_K = np.unique(differences_U, return_counts=True)
    users = len(differences_U)

    def draw(rng: np.random.Generator, size: int) -> np.ndarray:
        return rng.multinomial(users, counts_K / users, size) @ values_K / users

    means_R = np.concatenate(list(_blocks(draw, len(values_K), resamples, seed)))
    tail = (1 - confidence) / 2
    low, high = np.quantile(means_R, (tail, 1 - tail))
    return float(low), float(high)


def permutation_test(differences_U: np.ndarray, resamples: int = RESAMPLES, seed: int = 0) -> float:
    """Two-sided p-value of the mean difference, from swapping the two models of each user at random.

    Under the null hypothesis that it makes no difference which of the two models a user has, the sign of each
    difference is a coin's. The observed assignment counts as one of them, so p is never 0.
    """
    magnitudes_K, counts_K = np.unique(np.abs(differences_U[differences_U != 0]), return_counts=True)
    observed, total = abs(float(differences_U.sum())), float(magnitudes_K @ counts_K)

    def draw(rng: np.random.Generator, size: int) -> np.ndarray:
        positive_RK = rng.binomial(counts_K, 0.5, (size, len(counts_K)))
        return (2 * positive_RK - counts_K) @ magnitudes_K

    extreme = sum(
        int((np.abs(sums) >= observed - ROUNDING * total).sum())
        for sums in _blocks(draw, len(magnitudes_K), resamples, seed)
    )
    return (extreme + 1) / (resamples + 1)


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's adjustment for several tests at once: reject those that are at most the wanted level."""
    count = len(p_values)
    adjusted, highest = [0.0] * count, 0.0
    for place, index in enumerate(sorted(range(count), key=lambda i: p_values[i])):
        highest = max(highest, min(1.0, (count - place) * p_values[index]))
        adjusted[index] = highest
    return adjusted


def _blocks(
    draw: Callable[[np.random.Generator, int], np.ndarray], width: int, resamples: int, seed: int
) -> Iterator[np.ndarray]:
    """`resamples` results of `draw(rng, size)`, in blocks that fit into memory."""
    rng = np.random.default_rng(seed)
    size = max(1, BLOCK // max(1, width))
    for start in range(0, resamples, size):
        yield draw(rng, min(size, resamples - start))
