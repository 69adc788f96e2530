"""MiaSRec against the equations in loops over sessions, slots, heads and items."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fame.config.tree import experiment_from_dict
from fame.errors import UserError
from fame.losses.objective import Softmax
from fame.models.baselines.entmax import entmax
from fame.models.baselines.miasrec import MiaSRec, MiaSRecConfig, chosen
from tests.fame.helpers import last_batch, random_rows, randomise
from tests.fame.paper import softmax
from tests.fame.paper_weights import feed_forward, layer_norm

ITEMS, LENGTH = 5, 8
"""Few items: they come back."""


def attend(block: nn.Module, x: list[Tensor], t: int, heads: int) -> Tensor:
    """Every slot attends to every one."""
    attention, K, parts = block.attention, len(x[0]) // heads, []
    project = lambda layer, h, row: (layer.weight @ row + layer.bias)[h * K : (h + 1) * K]  # noqa: E731
    for h in range(heads):
        query = project(attention.query, h, x[t])
        shares = softmax([query @ project(attention.key_value, h, row) / math.sqrt(K) for row in x])
        values = [project(attention.key_value, heads + h, row) for row in x]
        parts.append(sum(share * row for share, row in zip(shares, values, strict=True)))
    return block.output.weight @ torch.cat(parts) + block.output.bias


def naive_scores(model: MiaSRec, items: list[int]) -> Tensor:
    config = model.config
    x = [model.items.weight[item] for item in items]
    x = [sum(x) / len(x), *x]
    y = [x[0] + model.positions.weight[0]]
    for t, item in enumerate(items):
        frequency = min(items.count(item), config.frequencies) - 1
        y.append(x[t + 1] + model.positions.weight[len(items) - t] + model.frequencies.weight[frequency])
    y = [layer_norm(model.norm, row) for row in y]
    for block in model.blocks:
        rows = [layer_norm(block.attention_norm, y[t] + attend(block, y, t, config.heads)) for t in range(len(y))]
        y = [layer_norm(block.feed_forward_norm, row + feed_forward(block.feed_forward, row)) for row in rows]
    gates = [torch.sigmoid(model.gate.weight @ torch.cat([a, b]) + model.gate.bias) for a, b in zip(x, y, strict=True)]
    o = [gate * a + (1 - gate) * b for gate, a, b in zip(gates, x, y, strict=True)]
    votes = torch.stack([(model.vote.weight @ torch.cat([o[0], row]) + model.vote.bias)[0] for row in o])
    weights = entmax(votes, config.alpha)
    ranked = sorted((i for i in range(len(o)) if weights[i] > 0), key=lambda i: -weights[i])[: config.vectors]
    scores = []
    for v in range(1, ITEMS + 1):
        cosines = [F.cosine_similarity(row, model.items.weight[v], dim=0) for row in o]
        mean = sum(weight * cosine for weight, cosine in zip(weights, cosines, strict=True))
        best = max(float(cosines[i]) for i in ranked)
        scores.append((config.beta * best + (1 - config.beta) * mean) / config.temperature)
    return torch.stack(scores)


def build(**settings) -> MiaSRec:
    config = MiaSRecConfig(dim=6, inner=2, item_dropout=0.0, **settings)
    return randomise(MiaSRec(config, ITEMS, LENGTH), seed=0)


@torch.no_grad()
@pytest.mark.parametrize("settings", [{}, {"vectors": 2, "alpha": 1.2}, {"beta": 0.5, "alpha": 2.0, "frequencies": 3}])
def test_it_is_the_equations_in_loops(settings):
    model = build(**settings)
    items, lengths = random_rows(8, LENGTH, ITEMS, seed=1)
    found = model.scorer().scores(model.encode(items, lengths))
    for b, length in enumerate(lengths.tolist()):
        expected = naive_scores(model, items[b, :length].tolist())
        torch.testing.assert_close(found[b], expected, rtol=0, atol=1e-9)


def test_the_loss_is_that_of_the_scores_and_so_is_its_gradient():
    model, targets = build(), torch.tensor([1, 4, 2, 2, 3])
    items, lengths = random_rows(5, LENGTH, ITEMS, seed=2)
    batch = last_batch(items, lengths, targets)
    loss = model(batch, Softmax("float32"))
    scores = model.scorer().scores(model.encode(items, lengths))
    expected = F.cross_entropy(scores, targets - 1, reduction="sum")
    torch.testing.assert_close(loss, expected, rtol=1e-5, atol=0)
    names, weights = zip(*model.named_parameters(), strict=True)
    got, want = (torch.autograd.grad(value, weights) for value in (loss, expected))
    for name, one, other in zip(names, got, want, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5, msg=name)
        assert name == "vote.bias" or one.any(), f"nothing teaches {name}"


def test_chosen_are_the_highest_and_the_first_again_where_there_are_fewer():
    weights = torch.tensor([[0.1, 0.0, 0.6, 0.3], [0.0, 1.0, 0.0, 0.0]])
    assert chosen(weights, 2).tolist() == [[2, 3], [1, 1]]
    assert chosen(weights, 6).tolist() == [[2, 3, 0, 2, 2, 2], [1, 1, 1, 1, 1, 1]]


@pytest.mark.parametrize(("key", "value"), [("loss", "gbce"), ("label_smoothing", 0.1)])
def test_other_losses_are_refused(key, value):
    with pytest.raises(UserError, match=rf"train.{key} = {value!r}: .*the plain train.loss = softmax"):
        experiment_from_dict({"model": {"name": "miasrec"}, "train": {key: value}})


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"alpha": 1.0}, r"model.alpha = 1.0: must be in \(1, 2\]"),
        ({"beta": 1.5}, r"model.beta = 1.5: must be between 0 and 1"),
        ({"vectors": 0}, r"model.vectors = 0: must be between 1 and 255"),
        ({"vectors": 256}, r"model.vectors = 256: must be between 1 and 255"),
        ({"heads": 5}, r"model.heads = 5: must divide model.dim = 64"),
    ],
)
def test_settings_that_cannot_be(settings, message):
    with pytest.raises(UserError, match=message):
        MiaSRecConfig(**settings)
