"""The heads of a trained model know the facets that the text stage gave them, and not without it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from fame.config import DataConfig, Experiment, TextConfig
from fame.datasets import Dataset, load_dataset
from fame.models.build import build_model
from fame.runtime.parallel import Workers
from fame.serving.export import export_model
from fame.text.disentanglement import measure
from fame.training.fit import Trained, fit, read_trained
from tests.fame.helpers import CPU, experiment

HEADS = 2


@pytest.fixture
def users() -> Dataset:
    """Users enough to learn what follows what."""
    return load_dataset(DataConfig(name="synthetic", size={"users": 300, "items": 240}), report=lambda line: None)


def trained(settings: Experiment, dataset: Dataset, folder: Path) -> Trained:
    list(fit(settings, dataset.sequences, folder, Workers(device=CPU), dataset=dataset))
    return read_trained(folder)


def settings(text: dict) -> Experiment:
    model = {"dim": 16, "heads": HEADS, "dropout": 0.2}
    train = {"epochs": 8, "lr": 0.003, "batch_size": 64}
    return experiment(data={"fingerprint": None, "max_length": 20}, model=model, train=train, text=text)


def test_trained_heads_recover_the_known_facets_with_the_stage_and_not_without(users, tiny_bert, tmp_path):
    text = {"encoder": str(tiny_bert), "epochs": 30, "lr": 0.01, "batch_size": 64}
    export_model(tmp_path / "best", trained(settings(text), users, tmp_path / "text"), users)
    found = json.loads((tmp_path / "best/metrics.json").read_text())["disentanglement"]
    assert found["facets"] == ["facet_0", "facet_1"] and found["heads"] == [0, 1]
    assert found["best_match_purity"] >= 0.9
    for facet in range(HEADS):
        assert max(range(HEADS), key=found["accuracy"][facet].__getitem__) == facet
    assert "facet_1 → head 1" in (tmp_path / "best/probe.svg").read_text()

    random = trained(settings({}), users, tmp_path / "random")
    with torch.no_grad():
        table_VD = build_model(random.experiment, len(users.items), random.weights).item_facets()
    assert measure(TextConfig(epochs=1), users, table_VD, HEADS).best_match < 0.6
    # A model that did not start from text is not probed.
    assert "disentanglement" not in export_model(tmp_path / "other", random, users)
    assert not (tmp_path / "other/probe.svg").exists()


def test_items_without_facets_have_nothing_to_measure(users, tmp_path):
    assert measure(TextConfig(epochs=1, rare=200), users, torch.randn(len(users.items), 16), HEADS) is None
