"""Limits that schedulers share."""

from __future__ import annotations

from tests.tuning.schedulers.controller import TREE
from tuning.schedulers.limits import changeable, grace
from tuning.space.file import space_from_dict


def test_what_may_change_is_told_by_the_key_not_the_model():
    assert changeable(space_from_dict(TREE)) == ["model.dropout", "train.lr", "train.weight_decay"]


def test_a_trial_has_a_quarter_of_its_epochs_and_never_none():
    assert [grace(epochs) for epochs in (1, 3, 4, 8, 40)] == [1, 1, 1, 2, 10]
