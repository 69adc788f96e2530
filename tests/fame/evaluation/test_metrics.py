"""HR and NDCG of ranks against their definitions."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fame.evaluation.metrics import metric_sums


@given(st.lists(st.integers(0, 60), max_size=30), st.lists(st.integers(1, 25), min_size=1, max_size=4, unique=True))
def test_metrics_are_sums_over_a_ranked_list_with_one_relevant_item(doubled_ranks, cutoffs):
    ranks = [r / 2 for r in doubled_ranks]
    sums = metric_sums(torch.tensor(ranks), cutoffs)
    assert list(sums) == [f"{name}@{k}" for k in cutoffs for name in ("hr", "ndcg")]
    for k in cutoffs:
        hits = [rank for rank in ranks if rank < k]
        assert float(sums[f"hr@{k}"]) == len(hits)
        assert float(sums[f"ndcg@{k}"]) == pytest.approx(math.fsum(math.log(2) / math.log(rank + 2) for rank in hits))


def test_the_first_place_gains_one_and_the_place_after_the_cutoff_nothing():
    sums = metric_sums(torch.tensor([0.0, 1.0, 5.0]), [5])
    assert float(sums["hr@5"]) == 2
    assert float(sums["ndcg@5"]) == pytest.approx(1 + 1 / math.log2(3))


def test_a_rank_that_is_not_a_number_makes_ndcg_not_a_number():
    assert math.isnan(metric_sums(torch.tensor([0.0, math.nan]), [5])["ndcg@5"])
