"""The prepared dataset, on its way from the driver to the trials' workers.

Workers of the driver's machine map its files: no byte is copied, and the driver has no object in Ray's object store. A
driver with objects there ends with its node (`tuning.ray_internals.node_processes`). Other machines take it from that store.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fame.datasets import Dataset, store

if TYPE_CHECKING:
    import ray


ARRAYS = ("sequences", "user_ids", "items")
"""Fields that are mapped. The others are small, and may differ from the files: `Dataset.from_pandas` chooses the facets."""


@dataclass(frozen=True, kw_only=True)
class MappedDataset:
    """A dataset by the folder of its files."""

    folder: Path
    others: Mapping[str, Any]

    def load(self) -> Dataset:
        """Map the files. Raises `BrokenStore` if they are gone."""
        return replace(store.load(self.folder), **self.others)


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
        others = {field.name: getattr(dataset, field.name) for field in fields(dataset) if field.name not in ARRAYS}
        return MappedDataset(folder=dataset.folder, others=others)
    return StoredDataset(reference=ray.put(dataset))
