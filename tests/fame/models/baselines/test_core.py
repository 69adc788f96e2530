"""CORE against its sums in plain loops, and what its sessions must hold."""

from __future__ import annotations

import math

import pytest
import torch

from fame.errors import UserError
from fame.models.baselines.core import Core, CoreConfig
from tests.fame.helpers import random_rows, randomise

SIZE = {"dim": 6, "heads": 2, "inner": 2}


def naive_scores(model: Core, items: list[int]) -> list[float]:
    """Scores of every item after `items`, of which no other row or padding is known."""
    x = model.items.weight[torch.tensor(items)]
    if model.encoder is None:
        weights = [1 / len(items)] * len(items)
    else:
        states = model.encoder.hidden(x[None], torch.tensor([len(items)]))[0]
        exps = [math.exp(float(model.vote.weight[0] @ state + model.vote.bias[0])) for state in states]
        weights = [e / sum(exps) for e in exps]
    session = sum(w * row for w, row in zip(weights, x, strict=True))
    rows = model.items.weight[1:]
    return [
        float(session @ row / math.sqrt((session @ session) * (row @ row))) / model.config.temperature for row in rows
    ]


@pytest.mark.parametrize(
    "settings", [{"weights": "mean", "dim": 6}, *({"positions": p} for p in ("relative", "absolute"))]
)
@torch.no_grad()
def test_scores_are_those_of_the_loops_at_every_position(settings):
    model = randomise(
        Core(CoreConfig(**({**SIZE, **settings} if "weights" not in settings else settings)), 9, 5), seed=1
    )
    items, lengths = random_rows(4, 5, 9, seed=1)
    scores = model.hidden(items, lengths) @ model.item_table().T
    for b, length in enumerate(lengths.tolist()):
        for t in range(length):
            expected = torch.tensor(naive_scores(model, items[b, : t + 1].tolist()), dtype=torch.float64)
            torch.testing.assert_close(scores[b, t], expected, rtol=1e-10, atol=1e-10)


@torch.no_grad()
def test_a_session_of_one_item_is_that_item():
    model = randomise(Core(CoreConfig(**SIZE, temperature=0.5), 9, 5), seed=2)
    scores = model.encode(torch.tensor([[4]]), torch.tensor([1]))[0] @ model.item_table().T
    assert scores.argmax() == 3
    assert float(scores.max()) == pytest.approx(1 / 0.5)


@torch.no_grad()
def test_the_length_of_an_item_vector_does_not_change_its_score():
    model = randomise(Core(CoreConfig(**SIZE), 9, 5), seed=3)
    items, lengths = torch.tensor([[1, 2, 3]]), torch.tensor([3])
    before = model.encode(items, lengths) @ model.item_table().T
    model.items.weight[7] *= 5
    torch.testing.assert_close(model.encode(items, lengths) @ model.item_table().T, before)


def test_candidates_are_dropped_out_in_training_alone():
    model = Core(CoreConfig(**SIZE, item_dropout=0.5), 50, 5)
    dropped = model.item_table()
    assert (dropped == 0).float().mean().item() == pytest.approx(0.5, abs=0.15)
    assert (model.item_rows(torch.arange(1, 51)) == 0).any()
    assert (model.eval().item_table() != 0).all()
    torch.testing.assert_close(model.item_table().norm(dim=1), torch.ones(50))


def test_the_mean_has_the_items_for_weights_and_nothing_else():
    assert [name for name, _ in Core(CoreConfig(weights="mean"), 9, 5).named_parameters()] == ["items.weight"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"temperature": 0.0}, "model.temperature = 0.0: must be positive"),
        ({"item_dropout": 1.0}, "model.item_dropout = 1.0: must be in [0, 1)"),
        ({"heads": 3}, "model.heads = 3: must divide model.dim = 64"),
        ({"weights": "mean", "blocks": 1}, "model.blocks = 1: is ignored with model.weights = mean"),
    ],
)
def test_each_rule_of_the_settings_has_its_message(settings, message):
    with pytest.raises(UserError) as caught:
        CoreConfig(**settings)
    assert message in str(caught.value)
