"""The k best items of many histories: encoded in order of length, scored a tile at a time.

Letters: B users, T time, D width of a query, V items, C items of a tile, K items wanted, E excluded pairs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from fame.evaluation.evaluator import CPU_ENCODE_ITEMS
from fame.models.scoring import Scorer

History = Sequence[int] | np.ndarray
"""Item numbers, oldest first."""
USERS, TILE = 64, 1 << 22
"""Users that are ranked together, and scores that are held at a time: 16 MB. Long rows need the best of few tiles."""
BLOCK = 64
"""Scores whose highest is looked at first."""
NONE = -1
"""In place of an item, where there are no more."""


@dataclass(frozen=True, kw_only=True)
class BestItems:
    """The best items of some users, best first."""

    items: np.ndarray
    """Item numbers − 1, int64 [B, K]; `NONE` after the last one."""
    scores: np.ndarray
    """[B, K]; −∞ after the last one."""

    def rows(self) -> list[tuple[list[int], list[float]]]:
        """Items and scores of each user, without what is after the last one."""
        lengths = (self.items != NONE).sum(1).tolist()
        rows = zip(self.items.tolist(), self.scores.tolist(), lengths, strict=True)
        return [(items[:n], scores[:n]) for items, scores, n in rows]


def by_length(histories: Sequence[History], max_length: int) -> list[np.ndarray]:
    """Places of histories in groups of like length, so that padding costs next to nothing."""
    lengths = np.minimum([len(history) for history in histories], max_length)
    order = np.argsort(lengths, kind="stable")
    groups = []
    while len(order):
        # The longest of a group is its last one: as many as fit by that, at least one.
        room = np.arange(1, len(order) + 1) * lengths[order] <= CPU_ENCODE_ITEMS
        size = max(1, int(np.argmin(room)) if not room.all() else len(order))
        groups.append(order[:size])
        order = order[size:]
    return groups


def padded(histories: Sequence[History], max_length: int) -> tuple[Tensor, Tensor]:
    """Return a model's input for histories: item numbers [B, T], padded on the right with 0, and lengths [B]."""
    recent = [history[-max_length:] for history in histories]
    lengths = np.array([len(history) for history in recent])
    items = np.zeros((len(recent), lengths.max()), np.int64)
    items[np.arange(items.shape[1]) < lengths[:, None]] = np.concatenate(recent)
    return torch.from_numpy(items), torch.from_numpy(lengths)


def best_items(
    scorer: Scorer, queries_BD: Tensor, k: int, excluded: Sequence[History], among: Tensor | None = None
) -> BestItems:
    """The k best items for each query, without those that are excluded for it (item numbers).

    among: indices (item numbers − 1), rising, of the only items to choose from.
    """
    parts = [
        _best(scorer, queries, k, excluded[start : start + USERS], among)
        for start, queries in zip(range(0, len(queries_BD), USERS), queries_BD.split(USERS), strict=True)
    ]
    return BestItems(
        items=np.concatenate([part.items for part in parts]), scores=np.concatenate([part.scores for part in parts])
    )


def _best(scorer: Scorer, queries_BD: Tensor, k: int, excluded: Sequence[History], among: Tensor | None) -> BestItems:
    rows_E, items_E = _pairs(excluded, among)
    count = scorer.item_count if among is None else len(among)
    columns = max(BLOCK * k, TILE // len(queries_BD))
    scores_BK, places_BK = queries_BD.new_empty(len(queries_BD), 0), torch.empty(len(queries_BD), 0, dtype=torch.int64)
    for start in range(0, count, columns):
        part = slice(start, min(start + columns, count))
        scores_BC = scorer.scores(queries_BD, part if among is None else among[part])
        fixed = slice(*torch.searchsorted(items_E, torch.tensor([part.start, part.stop])).tolist())
        scores_BC[rows_E[fixed], items_E[fixed] - start] = float("-inf")
        found_BK, columns_BK = highest(scores_BC, k)
        together_BK = torch.cat([scores_BK, found_BK], 1)
        scores_BK, chosen_BK = together_BK.topk(min(k, together_BK.shape[1]))
        places_BK = torch.cat([places_BK, columns_BK + start], 1).gather(1, chosen_BK)
    items_BK = places_BK if among is None else among[places_BK]
    items_BK = torch.where(scores_BK > float("-inf"), items_BK, NONE)
    return BestItems(items=items_BK.numpy(), scores=scores_BK.numpy())


def highest(scores_BC: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """`topk`, four times as fast for a few of many: the k highest lie in the k blocks with the highest maxima."""
    B, C = scores_BC.shape
    blocks = C // BLOCK
    if blocks < 2 * k:
        return scores_BC.topk(min(k, C))
    blocks_BLS = scores_BC[:, : blocks * BLOCK].unflatten(1, (blocks, BLOCK))
    chosen_BK = blocks_BLS.amax(2).topk(k).indices
    inside_BKS = blocks_BLS.gather(1, chosen_BK[..., None].expand(B, k, BLOCK))
    columns_BKS = chosen_BK[..., None] * BLOCK + torch.arange(BLOCK)
    rest = torch.arange(blocks * BLOCK, C).expand(B, -1)
    candidates = torch.cat([inside_BKS.flatten(1), scores_BC[:, blocks * BLOCK :]], 1)
    found_BK, where_BK = candidates.topk(k)
    return found_BK, torch.cat([columns_BKS.flatten(1), rest], 1).gather(1, where_BK)


def _pairs(excluded: Sequence[History], among: Tensor | None) -> tuple[Tensor, Tensor]:
    """Row and column of each excluded item, in order of columns."""
    rows = np.repeat(np.arange(len(excluded)), [len(items) for items in excluded])
    items = np.concatenate([np.zeros(0, np.int64), *excluded]).astype(np.int64) - 1
    if among is not None:
        chosen = among.numpy()
        places = np.searchsorted(chosen, items)
        there = chosen[np.minimum(places, len(chosen) - 1)] == items if len(chosen) else np.zeros(len(items), bool)
        rows, items = rows[there], places[there]
    order = np.argsort(items, kind="stable")
    return torch.from_numpy(rows[order]), torch.from_numpy(items[order])


def in_order(groups: Sequence[np.ndarray], work: Callable[[np.ndarray], Tensor]) -> Tensor:
    """Return the results of `work` for groups of places, in the order of the places."""
    found = torch.cat([work(group) for group in groups])
    back = torch.empty(len(found), dtype=torch.int64)
    back[torch.from_numpy(np.concatenate(groups))] = torch.arange(len(found))
    return found[back]
