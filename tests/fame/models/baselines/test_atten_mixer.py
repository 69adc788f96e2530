"""Atten-Mixer against the equations in loops over positions, heads, levels and items."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fame.errors import UserError
from fame.models.baselines.atten_mixer import AttenMixer, AttenMixerConfig, pooled
from tests.fame.helpers import random_rows, randomise
from tests.fame.paper import softmax
from tests.fame.paper_weights import layer_norm

ITEMS, LENGTH = 12, 7


def project(layer: nn.Linear, x: Tensor, part: int, parts: int) -> Tensor:
    rows = slice(part * len(layer.bias) // parts, (part + 1) * len(layer.bias) // parts)
    return layer.weight[rows] @ x + layer.bias[rows]


def naive_query(model: AttenMixer, items: list[int]) -> Tensor:
    """z of the last of `items`."""
    config, H, K = model.config, model.config.heads, model.config.dim // model.config.heads
    x = [model.items.weight[item] / model.items.weight[item].norm() for item in items]
    heads = []
    for h in range(H):
        norms = [0.0] * len(x)
        for level in range(1, config.levels + 1):
            intent = project(model.levels[level - 1], sum(x[-level:]), 0, 1)
            query = project(model.query, intent / intent.norm(), h, H)
            weights = softmax([query @ project(model.key_value, row, h, 2 * H) / math.sqrt(K) for row in x])
            norms = [norm + weight**config.power for norm, weight in zip(norms, weights, strict=True)]
        norms = [norm ** (1 / config.power) for norm in norms]
        values = [project(model.key_value, row, H + h, 2 * H) for row in x]
        heads.append(sum(norm / sum(norms) * value for norm, value in zip(norms, values, strict=True)))
    read = layer_norm(model.norm, torch.cat(heads))
    return project(model.output, torch.cat([read, x[-1]]), 0, 1)


@torch.no_grad()
@pytest.mark.parametrize(("heads", "levels", "power"), [(2, 3, 4.0), (1, 1, 1.0), (3, 9, 2.0)])
def test_it_is_the_equations_in_loops(heads, levels, power):
    config = AttenMixerConfig(dim=6, heads=heads, levels=levels, power=power)
    model = randomise(AttenMixer(config, ITEMS, LENGTH), seed=0)
    items, lengths = random_rows(3, LENGTH, ITEMS, seed=1)
    everywhere, last = model.hidden(items, lengths) @ model.item_table().T, model.encode(items, lengths)
    for b, length in enumerate(lengths.tolist()):
        for t in range(length):
            query = naive_query(model, items[b, : t + 1].tolist())
            cosines = [float(F.cosine_similarity(query, row, dim=0)) for row in model.items.weight[1:]]
            expected = torch.tensor(cosines, dtype=torch.float64) * 16
            torch.testing.assert_close(everywhere[b, t], expected, rtol=0, atol=1e-10)
        torch.testing.assert_close(last[b] @ model.item_table().T, expected, rtol=0, atol=1e-10)


def test_pooling_has_a_gradient_where_every_level_is_certain():
    scores = (1000 * torch.randn(1, 2, 3, 4, 3)).requires_grad_()
    later = torch.ones(3, 3).triu(1).bool()[None, None, :, None]
    weights = pooled(scores, later, 6.0)
    torch.testing.assert_close(weights.sum(-1), torch.ones(1, 2, 3))
    assert (weights.masked_select(later[..., 0, :]) == 0).all()
    weights.square().sum().backward()
    assert torch.isfinite(scores.grad).all()


def test_pooling_with_p_1_is_the_mean_of_the_levels_and_with_large_p_the_highest():
    scores = torch.randn(1, 1, 1, 3, 5, dtype=torch.float64)
    none = torch.zeros(1, 1, 1, 1, 5).bool()
    weights = scores.softmax(-1)
    torch.testing.assert_close(pooled(scores, none, 1.0), weights.mean(3))
    highest = weights.amax(3)
    torch.testing.assert_close(pooled(scores, none, 500.0), highest / highest.sum(-1, keepdim=True), rtol=0.01, atol=0)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"heads": 5}, r"model.heads = 5: must divide model.dim = 64"),
        ({"levels": 0}, r"model.levels = 0: must be at least 1"),
        ({"power": 0.5}, r"model.power = 0.5: must be at least 1"),
        ({"temperature": 0.0}, r"model.temperature = 0.0: must be positive"),
        ({"item_dropout": 1.0}, r"model.item_dropout = 1.0: must be in \[0, 1\)"),
    ],
)
def test_settings_that_cannot_be(settings, message):
    with pytest.raises(UserError, match=message):
        AttenMixerConfig(**settings)
