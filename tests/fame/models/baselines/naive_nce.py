"""InfoNCE, one anchor at a time."""

from __future__ import annotations

import math

from torch import Tensor

from fame.models.baselines.contrast import ContrastConfig


def naive_nce(one: Tensor, two: Tensor, config: ContrastConfig, alike: list[list[bool]] | None = None) -> float:
    """Each of the 2·B anchors by itself; entry [i][j] of alike says that rows i and j are no negatives."""
    rows = len(one)

    def similarity(a: Tensor, b: Tensor) -> float:
        product = math.fsum((a * b).tolist())
        if config.similarity == "cosine":
            product /= math.sqrt(math.fsum((a * a).tolist())) * math.sqrt(math.fsum((b * b).tolist()))
        return product / config.temperature

    losses = []
    for mine, theirs in ((one, two), (two, one)):
        for i in range(rows):
            positive = math.exp(similarity(mine[i], theirs[i]))
            negatives = [
                math.exp(similarity(mine[i], other[j]))
                for j in range(rows)
                for other in (mine, theirs)
                if j != i and not (alike and alike[i][j])
            ]
            losses.append(-math.log(positive / (positive + math.fsum(negatives))))
    return math.fsum(losses) / len(losses)
