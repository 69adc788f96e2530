"""The best items of many histories: whatever the tiles and the groups."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from fame.serving import ranking
from fame.serving.ranking import NONE, best_items, by_length, padded


def test_tiles_change_no_answer(monkeypatch):
    generator = torch.Generator().manual_seed(0)
    table, queries = torch.randn(3000, 4, generator=generator), torch.randn(7, 4, generator=generator)
    excluded = [np.arange(1, 3001)[row::7] for row in range(7)]
    scorer, among = DotProducts(table), torch.arange(0, 3000, 3)
    whole, some = best_items(scorer, queries, 3, excluded), best_items(scorer, queries, 3, excluded, among)
    monkeypatch.setattr(ranking, "TILE", 200 * 7)
    monkeypatch.setattr(ranking, "USERS", 2)
    monkeypatch.setattr(ranking, "PIECE", 2 * 70)
    for before, rest in ((whole, None), (some, among)):
        after = best_items(scorer, queries, 3, excluded, rest)
        assert np.array_equal(after.items, before.items) and np.allclose(after.scores, before.scores)
    assert (best_items(scorer, queries, 3, [np.arange(1, 3001)] * 7).items == NONE).all()


class DotProducts(ranking.Scorer):
    """Exact products, whatever the tile."""

    def __init__(self, table: torch.Tensor) -> None:
        self.table, self.item_count = table.double(), len(table)

    def scores(self, queries_BD, items=slice(None), out=None):
        return queries_BD.double() @ self.table[items].T


@given(lengths=st.lists(st.integers(1, 60), min_size=1, max_size=50))
def test_groups_by_length_hold_every_history_once_in_order_of_length(lengths):
    histories = [list(range(1, n + 1)) for n in lengths]
    groups = by_length(histories, 50)
    places = np.concatenate(groups)
    assert sorted(places.tolist()) == list(range(len(lengths)))
    assert np.all(np.diff(np.minimum(np.array(lengths)[places], 50)) >= 0)
    for group in groups:
        items, counts = padded([histories[place] for place in group], 50)
        for row, place in enumerate(group):
            assert items[row, : counts[row]].tolist() == histories[place][-50:]
            assert not items[row, counts[row] :].any()
