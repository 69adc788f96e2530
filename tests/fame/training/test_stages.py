"""Keys of stages: they are equal if and only if the deciding settings are."""

from __future__ import annotations

import dataclasses
from typing import Any

from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from fame.config import Experiment, TextConfig
from fame.runtime.parallel import Workers
from fame.training.stages import BACKBONE_VERSION, recipes
from tests.fame.helpers import CPU, experiment

TWO_STAGES: dict[str, Any] = {"train": {"epochs": 2}, "backbone": {"epochs": 3, "lr": 0.02}}


SETTINGS = experiment(**TWO_STAGES)


ONE = Workers(device=CPU)


def keys(settings: Experiment, workers: Workers = ONE) -> list[str]:
    return [recipe.key(workers) for recipe in recipes(settings)]


DECIDING = {
    "model.dim": [8, 16],
    "model.heads": [1, 2],
    "model.dropout": [0.1, 0.2],
    "train.batch_size": [8, 16],
    "train.weight_decay": [0.0, 0.01],
    "train.patience": [0, 3],
    "train.threads": [1, 2],
    "backbone.epochs": [2, 3],
    "backbone.lr": [0.01, 0.02],
    "evaluate.exclude_seen": [True, False],
    "data.fingerprint": ["tiny", "other"],
    "data.max_length": [6, 7],
    "seed": [0, 1],
}


FREE = {
    "model.experts": [1, 4],
    "model.facet_norm": ["joint", "facet"],
    "model.expert_masks": ["own", "shared"],
    "model.facet_init": ["slice", "random"],
    "train.epochs": [1, 2],
    "train.lr": [0.01, 0.02],
    "backbone.query": ["copy", "fresh"],
    "backbone.noise": [0.0, 0.5],
    "backbone.facets": ["init", "output"],
    "data.dir": [None, "/elsewhere"],
}


points = st.fixed_dictionaries({key: st.sampled_from(values) for key, values in (DECIDING | FREE).items()})


def at(point: dict[str, Any]) -> Experiment:
    sections: dict[str, Any] = {}
    for key, value in point.items():
        section, _, name = key.partition(".")
        if name:
            sections.setdefault(section, {})[name] = value
        else:
            sections[section] = value
    return experiment(**sections)


@hypothesis_settings(max_examples=15)
@given(points, points)
def test_keys_are_equal_if_and_only_if_deciding_settings_are(left, right):
    same = all(left[key] == right[key] for key in DECIDING)
    assert (keys(at(left)) == keys(at(right))) == same
    # One key of all changed; random pairs rarely agree.
    for key, values in (DECIDING | FREE).items():
        changed = left | {key: values[values[0] == left[key]]}
        assert (keys(at(left)) == keys(at(changed))) == (key in FREE), key


def test_every_setting_of_an_experiment_is_known_to_decide_or_not():
    """A new field goes into the key, unless somebody says here that it need not."""
    with_text = dataclasses.replace(SETTINGS, text=TextConfig(epochs=1))
    text, backbone = recipes(with_text)
    assert backbone.before == text
    deciding = text.settings | backbone.settings
    sections = {f.name: getattr(SETTINGS, f.name) for f in dataclasses.fields(SETTINGS)}
    known = {
        f"{name}.{f.name}" if dataclasses.is_dataclass(section) else name
        for name, section in sections.items()
        for f in (
            dataclasses.fields(section) if dataclasses.is_dataclass(section) else [dataclasses.fields(SETTINGS)[0]]
        )
    }
    free = {key for key in known - deciding.keys() if not key.startswith("data.")}
    assert free == {
        *("model.experts", "model.facet_norm", "model.expert_masks", "model.facet_init", "model.facet_scale"),
        *("train.epochs", "train.lr", "train.shard_items", "backbone.query", "backbone.noise", "backbone.facets"),
    }
    assert {"data.fingerprint", "data.max_length"} <= deciding.keys() <= known


def test_who_computes_and_the_code_are_in_the_key(monkeypatch):
    (key,) = keys(SETTINGS)
    assert keys(SETTINGS, Workers(size=2, device=CPU)) != [key]
    monkeypatch.setattr("fame.training.stages.BACKBONE_VERSION", BACKBONE_VERSION + 1)
    assert keys(SETTINGS) != [key]
