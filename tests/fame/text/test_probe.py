"""Probe and purity know a block that has a facet from one that has not."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from fame.text.facets import read_facet
from fame.text.probe import best_match, probe, purity


@pytest.fixture(scope="module")
def known() -> tuple[torch.Tensor, list]:
    """Two facets of four labels; block 0 is noise, block 1 the first facet, block 2 the second."""
    random = np.random.default_rng(0)
    labels = random.integers(4, size=(300, 2))
    blocks = [random.normal(size=(300, 4)), np.eye(4)[labels[:, 0]], np.eye(4)[labels[:, 1]]]
    table = torch.from_numpy(np.concatenate(blocks, 1) + random.normal(size=(300, 12)) * 0.05).float()
    facets = [read_facet(f"f{f}", {f"f{f}": [f"l{label}" for label in labels[:, f]]}, 2) for f in range(2)]
    return table, facets


def test_the_probe_finds_the_block_that_knows_a_facet(known):
    table, facets = known
    found = probe(table, 3, facets)
    assert found.facets == ["f0", "f1"]
    accuracy = np.array(found.accuracy)
    assert accuracy[0, 1] > 0.95 and accuracy[1, 2] > 0.95
    assert max(accuracy[0, 0], accuracy[0, 2], accuracy[1, 0], accuracy[1, 1]) < 0.5
    assert all(0.1 < share < 0.45 for share in found.frequent)


def test_items_without_a_vector_are_not_probed(known):
    table, facets = known
    half = table.clone()
    half[150:] = 0
    assert probe(half, 3, facets).accuracy[0][1] > 0.95


def test_sets_count_as_hit_by_any_label():
    facet = read_facet("g", {"g": ["a|b", "c"] * 50}, 2)
    table = torch.tensor([[1.0, 0.0], [0.0, 1.0]]).repeat(50, 1)
    assert probe(table, 1, [facet]).accuracy == [[1.0]]


def test_purity_is_that_of_the_nearest_neighbours(known):
    table, facets = known
    found = np.array(purity(table, 3, facets))
    assert found[0, 1] == found[1, 2] == 1.0
    assert found[0, 0] < 0.5 and found[0, 2] < 0.5


def test_the_best_match_gives_different_heads_to_facets():
    assert best_match([[0.9, 0.8], [0.9, 0.1]]) == pytest.approx(0.85)
    assert best_match([[0.9], [0.8]]) == pytest.approx(0.9)
    assert best_match([[0.1, 0.2, 0.7]]) == pytest.approx(0.7)
