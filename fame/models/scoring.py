"""How items score against queries: what evaluation and serving ask of a model to rank with.

Letters: B queries, C some of the items, V items, D width of a query.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator

import torch
from torch import Tensor

from fame.runtime.sharding import ShardedEmbedding

EVERY = slice(None)
BLOCK = 64
"""Scores whose highest is looked at first (`highest`)."""


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

    def tiles(self, columns: int) -> Iterator[slice]:
        """Stretches of at most so many items, of which a ranking sums what it counts."""
        return (slice(start, min(start + columns, self.item_count)) for start in range(0, self.item_count, columns))

    def total(self, counts: Tensor) -> Tensor:
        """The sum over all items of what was counted in `tiles`."""
        return counts


class DotProduct(Scorer):
    """An item's score is the dot product of the query with the item's row of a table."""

    def __init__(self, table_VD: Tensor) -> None:
        self.table_VD, self.item_count = table_VD, len(table_VD)

    def scores(self, queries_BD: Tensor, items: slice | Tensor = EVERY, out: Tensor | None = None) -> Tensor:
        return torch.mm(queries_BD, self.table_VD[items].T, out=out)

    def finite(self, queries_BD: Tensor) -> Tensor:
        # |score| ≤ |query|·|item|: where this is finite so are the scores.
        return (queries_BD.norm(dim=1) * self.table_VD.norm(dim=1).max()).isfinite()


class ShardedDotProduct(Scorer):
    """`DotProduct` where each of several workers has some rows of the table: each counts in the tiles that it has.

    All workers rank the same users, in the same order.
    """

    def __init__(self, table: ShardedEmbedding) -> None:
        self.table, self.item_count = table, table.stretch.count - 1
        rows = table.stretch.own
        self.items = slice(max(rows.start - 1, 0), max(rows.stop - 1, 0))  # item i is row i + 1; row 0 is the padding
        self.table_CD = table.weight[self.items.start + 1 - rows.start :]

    def scores(self, queries_BD: Tensor, items: slice | Tensor = EVERY, out: Tensor | None = None) -> Tensor:
        if isinstance(items, slice):
            rows_CD = self.table_CD[items.start - self.items.start : items.stop - self.items.start]
        else:
            rows_CD = self.table(items + 1)
        return torch.mm(queries_BD, rows_CD.T, out=out)

    def finite(self, queries_BD: Tensor) -> Tensor:
        largest = self.table_CD.norm(dim=1).max() if len(self.table_CD) else queries_BD.new_zeros(())
        return (queries_BD.norm(dim=1) * self.table.total(largest)).isfinite()

    def tiles(self, columns: int) -> Iterator[slice]:
        starts = range(self.items.start, self.items.stop, columns)
        return (slice(start, min(start + columns, self.items.stop)) for start in starts)

    def total(self, counts: Tensor) -> Tensor:
        return self.table.total(counts)


def highest(scores_BC: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """`topk`, four times as fast for a few of many: the k highest lie in the k blocks with the highest maxima."""
    B, C = scores_BC.shape
    blocks = C // BLOCK
    if blocks < 2 * k:
        return scores_BC.topk(min(k, C))
    blocks_BLS = scores_BC[:, : blocks * BLOCK].unflatten(1, (blocks, BLOCK))
    chosen_BK = blocks_BLS.amax(2).topk(k).indices
    inside_BKS = blocks_BLS.gather(1, chosen_BK[..., None].expand(B, k, BLOCK))
    columns_BKS = chosen_BK[..., None] * BLOCK + torch.arange(BLOCK, device=scores_BC.device)
    rest = torch.arange(blocks * BLOCK, C, device=scores_BC.device).expand(B, -1)
    candidates = torch.cat([inside_BKS.flatten(1), scores_BC[:, blocks * BLOCK :]], 1)
    found_BK, where_BK = candidates.topk(k)
    return found_BK, torch.cat([columns_BKS.flatten(1), rest], 1).gather(1, where_BK)
