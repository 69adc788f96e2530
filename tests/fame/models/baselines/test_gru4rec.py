"""GRU4Rec against the recurrence in plain loops."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from fame.errors import UserError
from fame.models.baselines.gru4rec import GRU4Rec, GRU4RecConfig
from tests.fame.helpers import random_rows, randomise


def naive_state(layer: nn.GRU, x: list[Tensor]) -> list[Tensor]:
    """Reset gate r, update gate z, candidate n: h ← (1 − z) n + z h."""
    size, out = layer.hidden_size, []
    state = torch.zeros(size, dtype=torch.float64)
    for row in x:
        read = layer.weight_ih_l0 @ row + layer.bias_ih_l0
        kept = layer.weight_hh_l0 @ state + layer.bias_hh_l0
        r, z = (torch.sigmoid(read[i * size : (i + 1) * size] + kept[i * size : (i + 1) * size]) for i in range(2))
        n = torch.tanh(read[2 * size :] + r * kept[2 * size :])
        state = (1 - z) * n + z * state
        out.append(state)
    return out


@pytest.mark.parametrize("layers", [1, 2])
@torch.no_grad()
def test_scores_are_those_of_the_recurrence_in_loops(layers):
    model = randomise(GRU4Rec(GRU4RecConfig(dim=4, width=6, layers=layers), 9, 5), seed=1)
    items, lengths = random_rows(4, 5, 9, seed=1)
    scores = model.encode(items, lengths) @ model.item_table().T
    for b, length in enumerate(lengths.tolist()):
        x = [model.items.weight[item] for item in items[b, :length]]
        for layer in model.layers:
            x = naive_state(layer, x)
        query = model.output.weight @ x[-1] + model.output.bias
        for v in range(1, 10):
            assert abs(float(scores[b, v - 1] - query @ model.items.weight[v])) < 1e-12


def test_dropout_is_of_what_the_settings_say():
    items, lengths = random_rows(2, 5, 9, seed=2)
    for dropouts in ({"dropout": 0.5}, {"dropout": 0.0, "hidden_dropout": 0.5}, {"dropout": 0.0}):
        model = GRU4Rec(GRU4RecConfig(dim=4, width=6, **dropouts), 9, 5).train()
        with torch.no_grad():
            model.items.weight[1:].normal_()
        same = torch.equal(model.hidden(items, lengths), model.hidden(items, lengths))
        assert same == (not any(dropouts.values()))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"width": 0}, "model.width = 0: must be at least 1"),
        ({"layers": 0}, "model.layers = 0: must be at least 1"),
        ({"hidden_dropout": 1.0}, "model.hidden_dropout = 1.0: must be in [0, 1)"),
        ({"init_std": 0.0}, "model.init_std = 0.0: must be positive"),
    ],
)
def test_each_rule_of_the_settings_has_its_message(settings, message):
    with pytest.raises(UserError) as caught:
        GRU4RecConfig(**settings)
    assert message in str(caught.value)
