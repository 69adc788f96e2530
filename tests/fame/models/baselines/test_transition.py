"""Transitions against counts in loops."""

from __future__ import annotations

import dataclasses
import itertools
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fame.datasets.sequences import Sequences
from fame.errors import UserError
from fame.models.baselines.popularity import log_popularity
from fame.models.baselines.transition import Transition, TransitionConfig, transitions
from fame.training.fit import fit, read_trained
from tests.fame.conformance import epoch_start, experiment
from tests.fame.helpers import jagged, random_rows


def counted(sequences: Sequences, **settings) -> Transition:
    model = Transition(TransitionConfig(**settings), sequences.item_count, 6).eval()
    model.start_epoch(epoch_start(sequences))
    return model


def naive_probability(sequences: Sequences, last: int, item: int, window: int, smoothing: float) -> float:
    """P(item | last)."""
    together = total = 0.0
    for user in range(len(sequences)):
        items = sequences[user][:-2].tolist()
        for i, first in enumerate(items):
            for distance in range(1, window + 1):
                if first == last and i + distance < len(items):
                    total += 1 / distance
                    together += (items[i + distance] == item) / distance
    popularity = math.exp(float(log_popularity(sequences)[item - 1]))
    return (together + smoothing * popularity) / (total + smoothing)


@given(jagged(), st.integers(1, 3), st.floats(0.1, 5))
def test_scores_are_those_of_the_loops(sequences, window, smoothing):
    model, last = counted(sequences, window=window, smoothing=smoothing), torch.tensor([[1], [4], [9], [4]])
    scores = model.scores(last)
    for row, item in zip(scores, last[:, 0].tolist(), strict=True):
        expected = [naive_probability(sequences, item, v, window, smoothing) for v in range(1, 10)]
        torch.testing.assert_close(row, torch.tensor(expected).log(), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(scores.exp().sum(1), torch.ones(4))
    for part in (slice(2, 5), torch.tensor([8, 0, 3, 3])):
        assert torch.equal(model.scores(last, part), scores[:, part])


@given(jagged(), st.integers(1, 3), st.sampled_from([None, 1, 2]), st.integers(1, 40))
def test_pairs_that_are_counted_in_parts_are_those_of_all_at_once(sequences, window, most, at_once):
    whole = transitions(sequences, window, most)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("fame.models.baselines.transition.PAIRS_AT_ONCE", at_once)
        parts = transitions(sequences, window, most)
    for one, other in zip(whole, parts, strict=True):
        assert one.dtype == other.dtype and one.tolist() == other.tolist()


def test_the_loss_is_the_cross_entropy_of_the_probabilities(tiny, single, tmp_path):
    (report,) = fit(experiment("transition", batch_size=3), tiny, tmp_path, single)
    pairs = [pair for user in range(len(tiny)) for pair in itertools.pairwise(tiny[user][:-2].tolist())]
    nats = [-math.log(naive_probability(tiny, last, item, 1, 1.0)) for last, item in pairs]
    assert report.loss == pytest.approx(sum(nats) / len(nats), rel=1e-5)


def test_what_was_counted_comes_back_from_a_file_whatever_its_size(tiny, single, tmp_path):
    settings = dataclasses.replace(experiment("transition"), model=TransitionConfig(window=2))
    list(fit(settings, tiny, tmp_path, single))
    model = Transition(TransitionConfig(window=2), tiny.item_count, 6)
    model.load_state_dict(read_trained(tmp_path).weights)
    items, lengths = random_rows(4, 6, tiny.item_count, seed=0)
    expected = counted(tiny, window=2)
    assert torch.equal(model.scores(model.encode(items, lengths)), expected.scores(expected.encode(items, lengths)))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"window": 0}, "model.window = 0: must be at least 1"),
        ({"smoothing": 0.0}, "model.smoothing = 0.0: must be positive"),
    ],
)
def test_each_rule_of_the_settings_has_its_message(settings, message):
    with pytest.raises(UserError) as caught:
        TransitionConfig(**settings)
    assert message in str(caught.value)
