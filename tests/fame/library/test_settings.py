"""Settings given as keywords find their section."""

from __future__ import annotations

import pytest

from fame.errors import UserError
from fame.library.settings import dotted
from fame.registry import models


def test_a_plain_name_is_a_setting_of_the_model_before_any_other():
    assert dotted("fame", {"dropout": 0.1, "lr": 0.1, "cutoffs": (5,), "noise": 1.0, "temperature": 1.0}) == {
        "model.dropout": 0.1, "train.lr": 0.1, "evaluate.cutoffs": (5,), "backbone.noise": 1.0, "text.temperature": 1.0,
    }  # fmt: skip


def test_sections_are_mappings_and_whole_keys_are_kept():
    assert dotted("fame", {"backbone": {"epochs": 3, "lr": 0.1}, "train.lr": 0.2, "seed": 4, "max_length": 9}) == {
        "backbone.epochs": 3, "backbone.lr": 0.1, "train.lr": 0.2, "seed": 4, "data.max_length": 9,
    }  # fmt: skip


def test_an_unknown_name_is_answered_with_the_nearest():
    with pytest.raises(UserError, match=r"unknown setting 'head': did you mean 'heads'\?"):
        dotted("fame", {"head": 4})
    with pytest.raises(UserError, match="unknown setting 'experts'"):
        dotted("sasrec", {"experts": 4})


@pytest.mark.parametrize("model", models.names())
def test_epochs_and_rate_are_those_of_the_training(model):
    """A model whose own settings hid them would train otherwise than it looks."""
    assert dotted(model, {"epochs": 1, "lr": 1.0, "seed": 1}) == {"train.epochs": 1, "train.lr": 1.0, "seed": 1}
