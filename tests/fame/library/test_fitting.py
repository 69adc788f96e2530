"""`fame.fit`: settings, folders, and what stays behind."""

from __future__ import annotations

import pandas as pd
import pytest

import fame
from fame import UserError
from fame.training.fit import CHECKPOINT
from tests.fame.library.shop import SMALL


def test_nothing_stays_of_a_training_without_a_folder(data, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    model = fame.fit(data, model="popularity", progress=False, epochs=1)
    assert list(tmp_path.iterdir())
    del model
    assert not list(tmp_path.iterdir())
    with pytest.raises(UserError, match=r"model\.dim"):
        fame.fit(data, model="sasrec", dim=0)
    assert not list(tmp_path.iterdir())


def test_a_training_in_a_folder_goes_on(data, tmp_path):
    first = fame.fit(data, folder=tmp_path / "run", progress=False, **SMALL)
    assert (tmp_path / "run" / CHECKPOINT).exists()
    assert first.folder == tmp_path / "run" / "best"
    second = fame.fit(data, folder=tmp_path / "run", progress=False, **SMALL)
    assert second.metrics["history"] == first.metrics["history"]
    again = fame.fit(data, config=first.folder / "config.yaml", progress=False)
    assert again.evaluate().equals(first.evaluate())
    with pytest.raises(UserError, match="belongs to another experiment"):
        fame.fit(data, folder=tmp_path / "run", progress=False, **{**SMALL, "lr": 0.5})


def test_settings_reach_the_experiment(data):
    model = fame.fit(
        data, model="fame", recipe="paper", max_length=4, backbone={"epochs": 1}, seed=3, progress=False, **SMALL
    )
    found = model.experiment
    assert (found.data.max_length, found.backbone.epochs, found.seed, found.train.epochs) == (4, 1, 3, 2)
    assert found.train.mode == "prefix", "the recipe's"
    assert found.text.facets == ("Category",)
    with pytest.raises(UserError, match=r"data.core prepares the data: give it to fame\.Dataset"):
        fame.fit(data, **{"data.core": 3})
    with pytest.raises(UserError, match=r"data is a DataFrame; give fame\.Dataset\.from_pandas"):
        fame.fit(pd.DataFrame())
