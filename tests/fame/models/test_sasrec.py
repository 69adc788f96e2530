"""SASRec against the paper's equations in plain loops (`paper.py`)."""

from __future__ import annotations

import pytest
import torch

from fame.models.sasrec import SASRec, SASRecConfig
from tests.fame import paper
from tests.fame.helpers import random_rows, randomise
from tests.fame.paper_weights import paper_weights

POSITIONS = ["relative", "absolute", "absolute_right", "none"]


@pytest.mark.parametrize("residual", [True, False])
@pytest.mark.parametrize("positions", POSITIONS)
@torch.no_grad()
def test_sasrecs_hidden_states_are_those_of_the_loops(positions, residual):
    config = SASRecConfig(dim=6, heads=3, inner=2, positions=positions, attention_residual=residual)
    model = randomise(SASRec(config, 7, 5), seed=5)
    items, lengths = random_rows(3, 5, 7, seed=5)
    hidden, weights = model.hidden(items, lengths), paper_weights(model)
    for b, length in enumerate(lengths.tolist()):
        expected = torch.stack(paper.hidden_states(weights, (items[b, :length] - 1).tolist()))
        torch.testing.assert_close(hidden[b, :length], expected, rtol=1e-10, atol=1e-10)
