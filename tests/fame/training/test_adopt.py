"""Taking over a state under other settings."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from fame.artifacts.checkpoint import load_checkpoint
from fame.config import CHANGEABLE
from fame.errors import UserError
from fame.training.adopt import adopt
from fame.training.fit import CHECKPOINT, experiment_key, fit, read_trained
from tests.fame.helpers import experiment, timeless

OTHER = {"train": {"lr": 0.002, "weight_decay": 1e-3, "clip_norm": 1.0}, "model": {"dropout": 0.4}}


@pytest.fixture
def half(single, tiny, tmp_path):
    """A training of six epochs after its third."""
    reports = fit(experiment(), tiny, tmp_path / "half", single)
    for _ in range(3):
        next(reports)
    return tmp_path / "half"


def test_the_training_goes_on_with_the_state_and_the_other_settings(half, single, tiny, tmp_path):
    other = experiment(**OTHER)
    adopt(half, tmp_path / "other", other, "half")
    taken, before = load_checkpoint(tmp_path / "other" / CHECKPOINT)[0], load_checkpoint(half / CHECKPOINT)[0]
    assert all(torch.equal(taken[key], before[key]) for key in taken.keys() | before.keys())
    reports = list(fit(other, tiny, tmp_path / "other", single))
    assert [report.epoch for report in reports] == [4, 5, 6]
    unchanged = list(fit(experiment(), tiny, half, single))
    assert reports[0].loss != unchanged[0].loss
    trained = read_trained(tmp_path / "other")
    assert [*map(timeless, trained.history[:3])] == [*map(timeless, read_trained(half).history[:3])]
    assert experiment_key(trained.experiment) == experiment_key(other)
    (change,) = trained.changes
    assert (change.epoch, change.origin) == (3, "half")
    assert change.settings["train.lr"] == [0.01, 0.002]
    assert change.settings.keys() == {"train.lr", "train.weight_decay", "train.clip_norm", "model.dropout"}


def test_the_same_settings_go_on_as_if_nothing_happened(half, single, tiny, tmp_path):
    adopt(half, tmp_path / "same", experiment(), "half")
    same = [timeless(report) for report in fit(experiment(), tiny, tmp_path / "same", single)]
    assert same == [timeless(report) for report in fit(experiment(), tiny, half, single)]


def test_a_state_may_be_taken_over_again_and_in_its_own_folder(half):
    for number, lr in enumerate((0.002, 0.003)):
        adopt(half, half, experiment(train={"lr": lr}), str(number))
    assert [(change.origin, change.settings) for change in read_trained(half).changes] == [
        ("0", {"train.lr": [0.01, 0.002]}),
        ("1", {"train.lr": [0.002, 0.003]}),
    ]


@pytest.mark.parametrize(
    ("changes", "key"),
    [({"model": {"heads": 4}}, "model.heads"), ({"train": {"epochs": 9}}, "train.epochs"), ({"seed": 3}, "seed")],
)
def test_what_changes_a_shape_a_stage_or_the_order_is_refused(changes, key, half, tmp_path):
    with pytest.raises(UserError, match=rf"cannot be taken over with {key} = ") as error:
        adopt(half, tmp_path / "other", experiment(**changes), "half")
    assert "\n" not in str(error.value)
    assert not (tmp_path / "other").exists()


def test_changeable_keys_are_settings():
    tree = dataclasses.asdict(experiment())
    for key in CHANGEABLE:
        section, name = key.split(".")
        assert name in tree[section]
