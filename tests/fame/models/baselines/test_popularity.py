"""Popularity against a count in a loop."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given

from fame.errors import UserError
from fame.models.baselines.popularity import Popularity, PopularityConfig, log_popularity
from fame.training.fit import fit, read_trained
from tests.fame.conformance import experiment
from tests.fame.helpers import jagged


@given(jagged())
def test_the_probability_of_an_item_is_its_share_of_the_training_parts(sequences):
    counts = [1] * sequences.item_count
    for user in range(len(sequences)):
        for item in sequences[user][:-2].tolist():
            counts[item - 1] += 1
    expected = torch.tensor([math.log(count / sum(counts)) for count in counts])
    torch.testing.assert_close(log_popularity(sequences), expected)


def test_everybody_is_recommended_the_same_and_the_loss_is_its_cross_entropy(tiny, single, tmp_path):
    (report,) = fit(experiment("popularity", batch_size=3), tiny, tmp_path, single)
    model = Popularity(PopularityConfig(), tiny.item_count, 6)
    model.load_state_dict(read_trained(tmp_path).weights)
    scores = model.encode(torch.tensor([[1, 2], [3, 0]]), torch.tensor([2, 1])) @ model.item_table().T
    assert torch.equal(scores[0], scores[1]) and torch.equal(scores[0], log_popularity(tiny))
    targets = [int(item) for user in range(len(tiny)) for item in tiny[user][1:-2]]
    assert report.loss == pytest.approx(-float(log_popularity(tiny)[torch.tensor(targets) - 1].mean()), rel=1e-5)


@pytest.mark.parametrize(("key", "value"), [("loss", "gbce"), ("label_smoothing", 0.1)])
def test_a_loss_to_be_optimised_is_refused(key, value):
    with pytest.raises(UserError, match=rf"train\.{key} = {value!r}: model 'popularity' counts"):
        experiment("popularity", **{key: value})
