"""How items score against queries: what evaluation and serving ask of a model to rank with.

Letters: B queries, C some of the items, V items, D width of a query.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor

EVERY = slice(None)


def every(items: slice | Tensor) -> bool:
    """Whether these are all items, for which scorers have a path of static shapes that `torch.export` can trace."""
    return isinstance(items, slice) and items == EVERY


class Scorer(ABC):
    """Scores of items against the queries of `SequentialModel.encode`; made once for many queries."""

    item_count: int
    """V."""

    @abstractmethod
    def scores(self, queries_BD: Tensor, items: slice | Tensor = EVERY, out: Tensor | None = None) -> Tensor:
        """[B, C], which the caller may overwrite; `items`: a stretch, or indices, of 0..V−1.

        An item's score must not depend on which others are asked for. `out`, [B, C], may be written to and returned.
        """

    def finite(self, queries_BD: Tensor) -> Tensor:
        """Whether the scores of each query are finite, bool [B], without the scores."""
        return queries_BD.isfinite().all(1)


class DotProduct(Scorer):
    """An item's score is the dot product of the query with the item's row of a table."""

    def __init__(self, table_VD: Tensor) -> None:
        self.table_VD, self.item_count = table_VD, len(table_VD)

    def scores(self, queries_BD: Tensor, items: slice | Tensor = EVERY, out: Tensor | None = None) -> Tensor:
        return torch.mm(queries_BD, self.table_VD[items].T, out=out)

    def finite(self, queries_BD: Tensor) -> Tensor:
        # |score| ≤ |query|·|item|: where this is finite so are the scores.
        return (queries_BD.norm(dim=1) * self.table_VD.norm(dim=1).max()).isfinite()
