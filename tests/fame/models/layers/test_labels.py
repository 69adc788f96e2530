"""Label vectors against sums in loops."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fame.models.layers.labels import LabelEmbedding
from fame.models.sasrec import SASRec, SASRecConfig
from tests.fame.helpers import random_rows

DIM = 4


def started(rows: list[list[int]]) -> LabelEmbedding:
    """Layer for items with these labels (from 1)."""
    labels = np.zeros((len(rows), max(1, *map(len, rows))), np.int64)
    for row, numbers in enumerate(rows):
        labels[row, : len(numbers)] = numbers
    torch.manual_seed(0)
    layer = LabelEmbedding(len(rows), DIM)
    layer.start(labels, std=1.0)
    return layer.double()


@given(st.lists(st.lists(st.integers(1, 5), max_size=4, unique=True), min_size=2, max_size=8))
def test_an_item_has_the_sum_of_its_labels_and_a_label_the_sum_of_its_items_gradients(rows):
    layer = started(rows)
    expected = torch.stack([sum((layer.weight[n] for n in row), torch.zeros(DIM).double()) for row in rows])
    upstream = torch.randn(len(rows), DIM, generator=torch.Generator().manual_seed(1)).double()
    gradient = torch.zeros_like(layer.weight)
    for item, row in enumerate(rows):
        for number in row:
            gradient[number] += upstream[item]
    for found in (layer.table(), layer(torch.arange(1, len(rows) + 1))):
        torch.testing.assert_close(found, expected)
        torch.testing.assert_close(torch.autograd.grad(found, layer.weight, upstream)[0], gradient)


def test_padding_has_no_label_and_shapes_are_those_of_the_items():
    layer = started([[1, 2], [], [3]])
    found = layer(torch.tensor([[0, 1], [2, 3]]))
    assert found.shape == (2, 2, DIM)
    assert not found[0, 0].any() and not found[1, 0].any() and found[0, 1].any()
    assert layer(torch.zeros(0, 5, dtype=torch.int64)).shape == (0, 5, DIM)


def test_weights_bring_their_labels_along():
    layer = started([[1, 2], [], [3]])
    other = LabelEmbedding(3, DIM).double()
    assert not other.table().any()
    other.load_state_dict(layer.state_dict())
    assert torch.equal(other.table(), layer.table())


def test_a_model_with_labels_reads_and_ranks_items_by_the_sum():
    """It gives the scores of a model without labels whose items have the sum."""
    config = SASRecConfig(dim=DIM, heads=1, blocks=1)
    torch.manual_seed(0)
    model = SASRec(SASRecConfig(dim=DIM, heads=1, blocks=1, labels=True), 3, 5).eval()
    model.start_from_labels(np.array([[1, 2], [0, 0], [2, 0]]))
    plain = SASRec(config, 3, 5).eval()
    plain.load_state_dict({k: v for k, v in model.state_dict().items() if not k.startswith("labels.")})
    with torch.no_grad():
        plain.items.weight[1:] = model.item_table()
        items, lengths = random_rows(4, 5, 3, seed=0)
        torch.testing.assert_close(model.encode(items, lengths), plain.encode(items, lengths))
    torch.testing.assert_close(model.item_rows(torch.tensor([3, 1])), model.item_table()[[2, 0]])


def test_a_model_without_the_setting_has_no_labels():
    with pytest.raises(AssertionError, match=r"model\.labels is off"):
        SASRec(SASRecConfig(dim=DIM, heads=1), 3, 5).start_from_labels(np.ones((3, 1), np.int64))
