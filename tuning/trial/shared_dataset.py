"""The prepared dataset, on its way from the driver to the trials' workers.

Workers of the driver's machine map its files: no byte is copied, and the driver has no object in Ray's object store. A
driver with objects there ends with its node (`tuning.ray_internals.node_processes`). Other machines take it from that store.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from fame.config import DataConfig
from fame.datasets import Dataset, store

if TYPE_CHECKING:
    import ray


@dataclass(frozen=True, kw_only=True)
class MappedDataset:
    """A dataset by the folder of its files."""

    folder: Path
    config: DataConfig

    def load(self) -> Dataset:
        """Map the files. Raises `BrokenStore` if they are gone."""
        return replace(store.load(self.folder), config=self.config)


@dataclass(frozen=True, kw_only=True)
class StoredDataset:
    """A dataset in Ray's object store."""

    reference: ray.ObjectRef[Dataset]

    def load(self) -> Dataset:
        import ray

        return ray.get(self.reference)


SharedDataset = MappedDataset | StoredDataset


def share(dataset: Dataset, this_machine: bool) -> SharedDataset:
    """Return what to give to the workers. `this_machine` says that all of them run on the driver's machine."""
    import ray

    if this_machine and dataset.folder is not None:
        return MappedDataset(folder=dataset.folder, config=dataset.config)
    return StoredDataset(reference=ray.put(dataset))
