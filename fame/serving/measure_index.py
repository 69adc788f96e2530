"""Build an index of a model's items, and measure what it is worth."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from fame.index.inverted import Index
from fame.models.scoring import DotProduct
from fame.serving.exported import ExportedModel
from fame.serving.recommender import Recommender

TOP, RECALL, USERS = 10, 0.99, 512
"""A query reads so many groups that the top 10 of 512 users have 99 % of the exact ones."""
ROUNDS, WARMUP = 50, 5
"""Users that are timed, and before them."""


@dataclass(frozen=True, kw_only=True)
class IndexWorth:
    """The quality and speed of an index."""

    index: Index
    recall: float
    """Share of the exact top 10 that it finds."""
    exact_ms: float
    index_ms: float
    """Median time of one user's scores and top 10."""


def measured(table_VD: Tensor, queries_BD: Tensor) -> IndexWorth:
    """Build an index, and let it read more groups until it finds what it should for these queries."""
    scorer, index = DotProduct(table_VD), Index.build(table_VD)
    top = min(TOP, len(table_VD))
    exact = torch.cat([scorer.scores(part).topk(top).indices for part in queries_BD.split(16)]).tolist()

    def recall() -> float:
        found, _ = index.search(queries_BD, top)
        return sum(len({*ours} & {*theirs}) for ours, theirs in zip(found, exact, strict=True)) / (top * len(exact))

    while recall() < RECALL and index.probes < len(index.centres_LE):
        index.probes = min(2 * index.probes, len(index.centres_LE))
    return IndexWorth(
        index=index,
        recall=recall(),
        exact_ms=median_ms(lambda query_1D: scorer.scores(query_1D).topk(top), queries_BD),
        index_ms=median_ms(lambda query_1D: index.search(query_1D, top), queries_BD),
    )


def median_ms(work: Callable[[Tensor], object], queries_BD: Tensor) -> float:
    took = []
    for query_D in queries_BD[: ROUNDS + WARMUP]:
        began = time.perf_counter()
        work(query_D[None])
        took.append((time.perf_counter() - began) * 1000)
    return float(np.median(took[min(WARMUP, len(took) - 1) :]))


def queries_of_users(exported: ExportedModel) -> Tensor:
    """Queries of users of the model's dataset, drawn at random, [B, D]. Raises `UserError` if it cannot be read."""
    from fame.datasets import load_dataset

    sequences = load_dataset(exported.experiment.data).sequences
    chosen = np.random.default_rng(0).permutation(len(sequences))[:USERS]
    queries_BD, _ = Recommender(exported).queries([sequences[user] for user in chosen])
    return queries_BD
