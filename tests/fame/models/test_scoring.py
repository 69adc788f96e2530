"""Scores by dot product: of all items, of some, whether they are finite; and the highest of them."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fame.models.scoring import EVERY, DotProduct, Scorer, highest


@given(queries=st.integers(1, 4), items=st.integers(1, 9), seed=st.integers(0, 99))
def test_a_score_is_the_dot_product_with_the_items_row(queries, items, seed):
    generator = torch.Generator().manual_seed(seed)
    q, table = torch.randn(queries, 3, generator=generator), torch.randn(items, 3, generator=generator)
    scorer = DotProduct(table)
    expected = torch.tensor(
        [[sum(a * b for a, b in zip(x, y, strict=True)) for y in table.tolist()] for x in q.tolist()]
    )
    assert scorer.item_count == items
    torch.testing.assert_close(scorer.scores(q), expected)
    torch.testing.assert_close(scorer.scores(q, slice(1, items)), expected[:, 1:])
    some = torch.randint(items, (5,), generator=generator)
    torch.testing.assert_close(scorer.scores(q, some), expected[:, some])
    out = torch.empty(queries, items)
    assert scorer.scores(q, out=out) is out
    torch.testing.assert_close(out, expected)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), 1e30])
def test_scores_that_are_not_finite_are_found_without_them(bad):
    queries = torch.tensor([[1.0, 2.0], [1.0, bad]])
    assert DotProduct(torch.full((3, 2), 1e15)).finite(queries).tolist() == [True, False]
    assert DotProduct(torch.tensor([[0.0, 1.0], [bad * 1e30, 0.0]])).finite(queries[:1]).tolist() == [False]


class Zeros(Scorer):
    def scores(self, queries_BD, items=EVERY, out=None):
        return torch.zeros(len(queries_BD), 1)


def test_other_scorers_ask_the_queries():
    assert Zeros().finite(torch.tensor([[1.0], [float("nan")]])).tolist() == [True, False]
    assert Zeros().finite(torch.tensor([[3]])).tolist() == [True]


def test_a_scorer_without_scores_is_none():
    with pytest.raises(TypeError, match="scores"):
        Scorer()


@given(data=st.data(), k=st.integers(1, 5), rows=st.integers(1, 4), columns=st.integers(1, 900))
def test_the_highest_by_blocks_are_those_of_topk(data, k, rows, columns):
    seed = data.draw(st.integers(0, 99))
    scores = torch.rand(rows, columns, generator=torch.Generator().manual_seed(seed))
    values, places = highest(scores, k)
    assert torch.equal(values, scores.topk(min(k, columns)).values)
    assert torch.equal(scores.gather(1, places), values)
