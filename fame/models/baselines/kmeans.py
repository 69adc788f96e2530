"""k-means on the device, the same on every worker: no atomic additions, and random numbers of a generator.

Letters: M points, D width, K clusters, C points of a chunk.
"""

from __future__ import annotations

import torch
from torch import Tensor

CHUNK = 8192
"""Points whose distances to all centres are held at a time."""


def kmeans(points_MD: Tensor, clusters: int, iterations: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Centres [K, D] after so many of Lloyd's iterations, and the nearest centre of each point, int64 [M].

    K is `clusters`, or M if that is less. The first centres are random points. A centre that is nearest to no point
    moves to one of the points that are farthest from theirs.
    """
    M = len(points_MD)
    centres_KD = points_MD[torch.randperm(M, generator=generator, device=points_MD.device)[: min(clusters, M)]]
    nearest_M, distance_M = nearest(points_MD, centres_KD)
    for _ in range(iterations):
        sums_KD, counts_K = _sums(points_MD, nearest_M, len(centres_KD))
        empty_K = counts_K == 0
        farthest_KD = points_MD[distance_M.topk(len(centres_KD)).indices]
        spare_KD = farthest_KD[(empty_K.cumsum(0) - 1).clamp(min=0)]
        centres_KD = torch.where(empty_K[:, None], spare_KD, sums_KD / counts_K.clamp(min=1)[:, None])
        nearest_M, distance_M = nearest(points_MD, centres_KD)
    return centres_KD, nearest_M


def nearest(points_MD: Tensor, centres_KD: Tensor) -> tuple[Tensor, Tensor]:
    """The nearest centre of each point, int64 [M], and its squared distance, [M]."""
    squares_K = centres_KD.square().sum(1)
    found = [(squares_K - 2 * part_CD @ centres_KD.T).min(1) for part_CD in points_MD.split(CHUNK)]
    distance_M = torch.cat([part.values for part in found]) + points_MD.square().sum(1)
    return torch.cat([part.indices for part in found]), distance_M


def _sums(points_MD: Tensor, cluster_M: Tensor, clusters: int) -> tuple[Tensor, Tensor]:
    """Sum [K, D] and number [K] of the points of each cluster, as products of matrices: on a GPU, too, in one order."""
    numbers_K = torch.arange(clusters, device=points_MD.device)
    sums_KD, counts_K = points_MD.new_zeros(clusters, points_MD.shape[1]), points_MD.new_zeros(clusters)
    for part_CD, part_C in zip(points_MD.split(CHUNK), cluster_M.split(CHUNK), strict=True):
        member_CK = (part_C[:, None] == numbers_K).to(part_CD.dtype)
        sums_KD += member_CK.T @ part_CD
        counts_K += member_CK.sum(0)
    return sums_KD, counts_K
