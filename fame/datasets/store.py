"""Prepared datasets on disk: one folder of numpy files and `meta.json`, loaded by memory-mapping.

A folder is written under another name and renamed, so it is either whole or not there. `meta.json` holds the
size of every file: one that was cut off later is noticed when it is loaded.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from fame.config import DataConfig
from fame.config.tree import section_from_dict, to_dict
from fame.datasets.cache import new_folder
from fame.datasets.dataset import Dataset
from fame.datasets.items import Items, TextColumn
from fame.datasets.sequences import PARTS, Sequences
from fame.errors import UserError

FORMAT = 1
"""Version of the files. Raise it when they change."""


class BrokenStore(Exception):
    """A folder that is not a whole prepared dataset."""


def save(dataset: Dataset, folder: Path) -> None:
    """Write a dataset into `folder`, which must not exist yet."""
    arrays = {
        "values": dataset.sequences.values,
        "offsets": dataset.sequences.offsets,
        "user_ids": dataset.user_ids,
        "item_ids": dataset.items.ids,
    }
    if not dataset.sequences.leave_one_out:
        arrays |= {part: dataset.sequences.history_ends(part) for part in PARTS}
    for number, column in enumerate(dataset.items.columns.values()):
        arrays[f"column{number}_data"] = column.data
        arrays[f"column{number}_offsets"] = column.offsets
    with new_folder(folder) as temporary:
        for name, array in arrays.items():
            np.save(temporary / f"{name}.npy", array, allow_pickle=False)
        meta = {
            "format": FORMAT,
            "config": to_dict(dataset.config),
            "item_count": dataset.sequences.item_count,
            "columns": list(dataset.items.columns),
            "facets": dataset.facets,
            "statistics": dataset.statistics,
            "source": dataset.source,
            "notes": dataset.notes,
            "fingerprint": dataset.fingerprint,
            "items_fingerprint": dataset.items_fingerprint,
            "bytes": {f"{name}.npy": (temporary / f"{name}.npy").stat().st_size for name in arrays},
        }
        (temporary / "meta.json").write_text(json.dumps(meta, ensure_ascii=False, indent=1), encoding="utf-8")


def load(folder: Path) -> Dataset:
    """Read a dataset that `save` wrote. Raises `BrokenStore`."""
    try:
        meta = json.loads((folder / "meta.json").read_text(encoding="utf-8"))
        if meta["format"] != FORMAT:
            raise BrokenStore(f"format {meta['format']}, not {FORMAT}")
        for name, size in meta["bytes"].items():
            if (folder / name).stat().st_size != size:
                raise BrokenStore(f"{name} does not have its {size} bytes")
        columns = {
            name: TextColumn(
                data=_map(folder / f"column{number}_data.npy"), offsets=_map(folder / f"column{number}_offsets.npy")
            )
            for number, name in enumerate(meta["columns"])
        }
        return Dataset(
            config=section_from_dict(DataConfig, meta["config"], "data"),
            sequences=Sequences(
                values=_map(folder / "values.npy"),
                offsets=_map(folder / "offsets.npy"),
                item_count=meta["item_count"],
                **{part: _map(folder / f"{part}.npy") for part in PARTS if f"{part}.npy" in meta["bytes"]},
            ),
            user_ids=_map(folder / "user_ids.npy"),
            items=Items(ids=_map(folder / "item_ids.npy"), columns=columns),
            facets=tuple(meta["facets"]),
            statistics=meta["statistics"],
            source=meta["source"],
            notes=tuple(meta["notes"]),
            fingerprint=meta["fingerprint"],
            items_fingerprint=meta["items_fingerprint"],
            folder=folder,
        )
    except (OSError, ValueError, KeyError, TypeError, AssertionError, UserError) as error:
        raise BrokenStore(" ".join(str(error).split())) from None


def _map(path: Path) -> np.ndarray:
    """The array of a file, memory-mapped, as a plain read-only `ndarray`."""
    if path.stat().st_size == 0:
        raise BrokenStore(f"{path.name} is empty")
    header_only = np.load(path, mmap_mode="r", allow_pickle=False)
    if not isinstance(header_only, np.ndarray):  # an archive of several
        raise BrokenStore(f"{path.name} is no array")
    return np.asarray(header_only)
