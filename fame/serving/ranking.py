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
from fame.models.scoring import BLOCK, Scorer, highest

History = Sequence[int] | np.ndarray
"""Item numbers, oldest first."""
USERS, TILE, PIECE = 256, 1 << 24, 1 << 19
"""Users that are ranked together, scores that are held at a time (64 MB), and scores of a product (2 MB).

Long rows need the best of few tiles. A product whose operands and result stay in cache takes half the time.
"""
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
    users, count = max(1, min(USERS, len(queries_BD))), scorer.item_count if among is None else len(among)
    dtype = scorer.scores(queries_BD[:1], slice(0, 1)).dtype  # not that of the queries, which may be item numbers
    buffer_UC = torch.empty(users, min(max(BLOCK * k, TILE // users), max(1, count)), dtype=dtype)
    parts = [
        _best(scorer, queries, k, excluded[start : start + USERS], among, buffer_UC)
        for start, queries in zip(range(0, len(queries_BD), USERS), queries_BD.split(USERS), strict=True)
    ]
    return BestItems(
        items=np.concatenate([part.items for part in parts]), scores=np.concatenate([part.scores for part in parts])
    )


def _best(
    scorer: Scorer, queries_BD: Tensor, k: int, excluded: Sequence[History], among: Tensor | None, buffer_UC: Tensor
) -> BestItems:
    rows_E, items_E = _pairs(excluded, among)
    count, columns = scorer.item_count if among is None else len(among), buffer_UC.shape[1]
    scores_BK, places_BK = queries_BD.new_empty(len(queries_BD), 0), torch.empty(len(queries_BD), 0, dtype=torch.int64)
    for start in range(0, count, columns):
        part = slice(start, min(start + columns, count))
        scores_BC = _scores(scorer, queries_BD, part, among, buffer_UC)
        fixed = slice(*torch.searchsorted(items_E, torch.tensor([part.start, part.stop])).tolist())
        scores_BC[rows_E[fixed], items_E[fixed] - start] = float("-inf")
        found_BK, columns_BK = highest(scores_BC, k)
        together_BK = torch.cat([scores_BK, found_BK], 1)
        scores_BK, chosen_BK = together_BK.topk(min(k, together_BK.shape[1]))
        places_BK = torch.cat([places_BK, columns_BK + start], 1).gather(1, chosen_BK)
    items_BK = places_BK if among is None else among[places_BK]
    items_BK = torch.where(scores_BK > float("-inf"), items_BK, NONE)
    return BestItems(items=items_BK.numpy(), scores=scores_BK.numpy())


def _scores(scorer: Scorer, queries_BD: Tensor, part: slice, among: Tensor | None, buffer_UC: Tensor) -> Tensor:
    """Scores of a stretch of items, or of a stretch of `among`, a piece at a time, in the buffer."""
    scores_BC = buffer_UC[: len(queries_BD), : part.stop - part.start]
    columns = max(1, PIECE // len(queries_BD))
    for start in range(part.start, part.stop, columns):
        piece = slice(start, min(start + columns, part.stop))
        out = scores_BC[:, piece.start - part.start : piece.stop - part.start]
        found = scorer.scores(queries_BD, piece if among is None else among[piece], out=out)
        if found is not out:
            out.copy_(found)
    return scores_BC


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
