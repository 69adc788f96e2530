"""Metrics of ranks against their definitions."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fame.config.metrics import ACCURACY, split
from fame.errors import UserError
from fame.evaluation.metrics import user_metrics

RANKS = st.lists(st.integers(0, 60), min_size=1, max_size=5, unique=True).map(lambda ranks: [r / 2 for r in ranks])


def naive(ranks: list[float], k: int) -> dict[str, float]:
    """Metrics of one user with these ranks of targets."""
    hits = sorted(rank for rank in ranks if rank < k)
    ideal = math.fsum(1 / math.log2(place + 2) for place in range(min(k, len(ranks))))
    return {
        f"hr@{k}": float(bool(hits)),
        f"ndcg@{k}": math.fsum(1 / math.log2(rank + 2) for rank in hits) / ideal,
        f"recall@{k}": len(hits) / len(ranks),
        f"precision@{k}": len(hits) / k,
        f"mrr@{k}": 1 / (hits[0] + 1) if hits else 0.0,
        f"map@{k}": math.fsum(nth / (rank + 1) for nth, rank in enumerate(hits, start=1)) / len(ranks),
    }


@given(st.lists(RANKS, max_size=6), st.integers(1, 25))
def test_metrics_are_those_of_each_users_ranks(users, k):
    names = [f"{kind}@{k}" for kind in ACCURACY]
    flat = torch.tensor([rank for ranks in users for rank in ranks])
    found = user_metrics(flat, names, torch.tensor([len(ranks) for ranks in users], dtype=torch.int32))
    assert list(found) == names
    for name, values in found.items():
        assert values.tolist() == pytest.approx([naive(ranks, k)[name] for ranks in users], abs=1e-12)


@given(st.lists(st.integers(0, 60), max_size=30), st.integers(1, 25))
def test_with_one_target_each_counts_need_not_be_given(doubled, k):
    ranks, names = torch.tensor([r / 2 for r in doubled]), [f"{kind}@{k}" for kind in ACCURACY]
    alone, counted = user_metrics(ranks, names), user_metrics(ranks, names, torch.ones(len(ranks)))
    assert all(torch.equal(alone[name], counted[name]) for name in names)
    assert torch.equal(alone[f"recall@{k}"], alone[f"hr@{k}"]) and torch.equal(alone[f"map@{k}"], alone[f"mrr@{k}"])


def test_the_first_place_gains_one_and_the_place_after_the_cutoff_nothing():
    found = user_metrics(torch.tensor([0.0, 1.0, 5.0]), ["hr@5", "ndcg@5"])
    assert found["hr@5"].tolist() == [1, 1, 0]
    assert found["ndcg@5"].tolist() == pytest.approx([1, 1 / math.log2(3), 0])


def test_a_target_that_cannot_be_found_counts_among_the_targets():
    found = user_metrics(torch.tensor([0.0, math.inf]), [f"{kind}@5" for kind in ACCURACY], torch.tensor([2]))
    ideal = 1 + 1 / math.log2(3)
    assert {name: float(value) for name, value in found.items()} == pytest.approx(
        {"hr@5": 1, "ndcg@5": 1 / ideal, "recall@5": 0.5, "precision@5": 0.2, "mrr@5": 1, "map@5": 0.5}
    )


@pytest.mark.parametrize("name", ["ndcg", "ndcg@", "ndcg@0", "ndcg@-1", "ndcg@1.5", "auc@10", "hr@ten", "hr@²", ""])
def test_a_name_that_is_no_metric_of_accuracy_is_an_error(name):
    with pytest.raises(UserError, match=r"must be KIND@K .* such as ndcg@10"):
        split(name)
