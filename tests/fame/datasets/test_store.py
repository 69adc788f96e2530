"""Prepared data on disk: mapped, damaged, moved."""

from __future__ import annotations

import numpy as np
import pytest

from fame.datasets import store
from tests.fame.datasets.files import load_config, prepared_folder


def no_preparation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fame.datasets.preparation.prepare.prepare", lambda *_: pytest.fail("prepared again"))


def test_a_second_load_only_maps_the_files(monkeypatch):
    first = load_config()
    no_preparation(monkeypatch)
    second = load_config()
    assert np.array_equal(first.sequences.values, second.sequences.values)
    assert first.config == second.config
    assert second.config.fingerprint == second.fingerprint
    with pytest.raises(ValueError, match=r"read-only"):
        second.sequences.values[0] = 1
    assert second.sequences.values.dtype == np.int32
    assert type(second.sequences.values) is np.ndarray


@pytest.mark.parametrize("file", ["values.npy", "offsets.npy", "meta.json", "item_ids.npy", "column0_data.npy"])
@pytest.mark.parametrize("damage", ["missing", "cut", "empty"])
def test_damaged_prepared_data_is_rebuilt(file, damage, cache_folder):
    fingerprint = load_config().fingerprint
    path = prepared_folder(cache_folder) / file
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[: -10 if damage == "cut" else 0])
    lines: list[str] = []
    assert load_config(lines=lines).fingerprint == fingerprint
    assert len(lines) == 1
    assert "is damaged" in lines[0]
    assert "preparing it again" in lines[0]
    assert load_config().fingerprint == fingerprint


def test_a_saved_dataset_loads_from_any_folder(tmp_path):
    dataset = load_config()
    store.save(dataset, tmp_path / "copy")
    copy = store.load(tmp_path / "copy")
    assert copy.config == dataset.config
    assert copy.statistics == dataset.statistics
    assert copy.items_fingerprint == dataset.items_fingerprint
    assert copy.facets == dataset.facets
