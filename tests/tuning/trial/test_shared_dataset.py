"""Workers get the dataset that the driver has."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import ray

from fame.datasets import Dataset
from fame.datasets.store import BrokenStore
from tuning.trial.shared_dataset import MappedDataset, share


def assert_same(one: Dataset, other: Dataset) -> None:
    assert (one.config, one.fingerprint, one.notes) == (other.config, other.fingerprint, other.notes)
    assert (one.facets, one.folder, one.statistics) == (other.facets, other.folder, other.statistics)
    np.testing.assert_array_equal(one.sequences.values, other.sequences.values)
    np.testing.assert_array_equal(one.items.ids, other.items.ids)


def test_workers_of_this_machine_map_its_files(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray, "put", None)  # nothing goes to the object store
    dataset = replace(dataset, facets=("chosen",))  # as `Dataset.from_pandas` does
    shared = share(dataset, this_machine=True)
    assert_same(shared.load(), dataset)
    assert isinstance(shared, MappedDataset)
    shutil.copytree(shared.folder, tmp_path / "data")
    (tmp_path / "data/values.npy").unlink()
    with pytest.raises(BrokenStore, match=r"values\.npy"):
        replace(shared, folder=tmp_path / "data").load()


@pytest.mark.parametrize("in_memory", [True, False])
def test_other_machines_get_it_from_the_object_store(
    dataset: Dataset, in_memory: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: list[Dataset] = []
    monkeypatch.setattr(ray, "put", kept.append)
    monkeypatch.setattr(ray, "get", lambda reference: kept[0])
    given = replace(dataset, folder=None) if in_memory else dataset
    assert_same(share(given, this_machine=in_memory).load(), given)
    assert kept == [given]
