"""Metrics of lists: diversity by labels and by text, shares of several workers, and what decides the column."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from fame.config.metrics import LISTS
from fame.evaluation.lists import LabelVectors, Occurrences, TextVectors, list_metrics
from tests.fame.evaluation.naive import Apart
from tests.fame.helpers import CPU, split_sequences

LABELS = ["a|b", "a", "", "b | c", "d"]
NOBODY = Occurrences(interactions_V=np.zeros(5, int), users_V=np.zeros(5, int), users=0)


def naive_diversity(lists: list[list[int]], vectors: list[list[float]]) -> float:
    """Mean over lists of the mean over pairs of items that have a vector."""
    means = []
    for row in lists:
        known = [np.array(vectors[item]) for item in row if item >= 0 and any(vectors[item])]
        distances = [
            1 - float(x @ y) / float(np.linalg.norm(x) * np.linalg.norm(y)) for x, y in itertools.combinations(known, 2)
        ]
        means += [np.mean(distances)] if distances else []
    return float(np.mean(means)) if means else 0.0


@pytest.mark.parametrize("chunk", [1, 1 << 22])
def test_diversity_is_the_mean_distance_of_pairs_with_labels(single, chunk, monkeypatch):
    monkeypatch.setattr("fame.evaluation.lists.CHUNK", chunk)
    lists = [[0, 1, 2], [1, 3, 4], [2, 4, -1], [0, 3, 1]]
    sets = [[label.strip() for label in text.split("|")] for text in LABELS]
    one_hot = [[float(label in own) for label in "abcd"] for own in sets]
    for k in (1, 2, 3):
        found = list_metrics(torch.tensor(lists), [f"diversity@{k}"], NOBODY, single, LabelVectors(LABELS))
        expected = naive_diversity([row[:k] for row in lists], one_hot)
        assert found[f"diversity@{k}"] == pytest.approx(expected, abs=1e-6)


def test_diversity_by_text_leaves_out_items_without_text(single):
    lists, known = [[0, 1, 2], [2, 3, 4]], np.array([0, 1, 3, 4])
    vectors = torch.randn(4, 6, generator=torch.Generator().manual_seed(0))
    table = torch.zeros(5, 6).index_put_((torch.from_numpy(known),), vectors)
    found = list_metrics(torch.tensor(lists), ["diversity@3"], NOBODY, single, TextVectors(known, vectors, 5))
    assert found["diversity@3"] == pytest.approx(naive_diversity(lists, table.tolist()), abs=1e-6)


def test_the_workers_shares_add_up_to_the_metrics_of_all_lists(single):
    lists = torch.tensor([[0, 1, 2], [1, 3, 4], [2, 4, -1], [0, 3, 1]])
    sequences = split_sequences([([1, 2, 2], [1], []), ([2, 5], [], [1]), ([], [], [1])], item_count=5)
    popularity, names = Occurrences.of(sequences), [f"{kind}@2" for kind in LISTS]
    shares: list[list[torch.Tensor]] = [[], []]

    class Recording(Apart):
        def sum(self, values: torch.Tensor) -> torch.Tensor:
            shares[self.rank].append(values.clone())
            return values

    vectors = LabelVectors(LABELS)
    for rank in range(2):
        list_metrics(lists[rank::2], names, popularity, Recording(rank=rank, size=2, device=CPU), vectors)
    sums = [first + second for first, second in zip(*shares, strict=True)]

    class Summed(Apart):
        def sum(self, values: torch.Tensor) -> torch.Tensor:
            return sums.pop(0)

    whole = list_metrics(lists, names, popularity, single, vectors)
    assert list_metrics(lists[::2], names, popularity, Summed(device=CPU), vectors) == pytest.approx(whole)


def test_popularity_counts_the_training_parts_and_a_users_repeats_once():
    found = Occurrences.of(split_sequences([([1, 2, 2], [1], []), ([2, 5], [], [1]), ([], [], [1])], item_count=5))
    assert found.interactions_V.tolist() == [1, 3, 0, 0, 1]
    assert found.users_V.tolist() == [1, 2, 0, 0, 1]
    assert found.users == 2
    assert found.novelty_V.tolist() == [1, 0, 1, 1, 1]
