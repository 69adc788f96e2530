"""The mask is read as a vector of its own, and is no item."""

from __future__ import annotations

import torch

from fame.models.baselines.cl4srec import CL4SRecConfig
from fame.models.baselines.mask import MaskReader
from fame.models.sasrec import SASRec
from tests.fame.helpers import random_rows, randomise

CONFIG = CL4SRecConfig(dim=8, inner=2, positions="absolute")


def test_the_mask_is_a_vector_that_is_learned():
    model = randomise(MaskReader(CONFIG, 12, 6), seed=0)
    vectors = model._vectors(torch.tensor([[3, model.mask_number]]))[0]
    assert torch.equal(vectors, torch.stack([model.items.weight[3], model.mask_D]))
    vectors.sum().backward()
    assert torch.equal(model.mask_D.grad, torch.ones(8).double())


def test_it_is_read_as_an_item_with_its_vector_would_be():
    model = randomise(MaskReader(CONFIG, 12, 6), seed=0)
    items, lengths = random_rows(5, 6, 11, seed=0)
    items[:, 0] = 12
    with torch.no_grad():
        model.items.weight[12] = model.mask_D
    masked = items.masked_fill(items == 12, model.mask_number)
    assert torch.equal(model.hidden(masked, lengths), model.hidden(items, lengths))


def test_without_a_mask_it_is_sasrec_and_scores_no_mask():
    model = randomise(MaskReader(CONFIG, 12, 6), seed=0)
    other = SASRec(CONFIG, 12, 6).double().eval()
    other.load_state_dict({name: weight for name, weight in model.state_dict().items() if name != "mask_D"})
    row = random_rows(5, 6, 12, seed=0)
    assert torch.equal(model.hidden(*row), other.hidden(*row))
    assert model.scorer().item_count == 12
