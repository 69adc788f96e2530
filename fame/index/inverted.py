"""The index, and its file.

Letters: B users, D model width, V items, L groups.
"""

from __future__ import annotations

import hashlib
import importlib
import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fame.checkpoint import load_checkpoint, save_checkpoint
from fame.errors import UserError

INDEX = "index.safetensors"
PER_GROUP = 64
"""Items that k-means sees for each centre."""


class Index:
    """Items in groups. `search` finds about the best of them."""

    def __init__(self, table_VD: Tensor, centres_LD: Tensor, groups_V: Tensor, probes: int) -> None:
        faiss = _faiss()
        self.centres_LD, self.groups_V, self.probes = centres_LD, groups_V, probes
        self._quantizer = faiss.IndexFlatIP(centres_LD.shape[1])
        self._quantizer.add(_array(centres_LD))
        self._items = faiss.IndexIVFFlat(self._quantizer, *reversed(centres_LD.shape), faiss.METRIC_INNER_PRODUCT)
        table, groups = _array(table_VD), groups_V.numpy()
        self._items.add_core(len(table), faiss.swig_ptr(table), None, faiss.swig_ptr(groups))

    @classmethod
    def build(cls, table_VD: Tensor, seed: int = 0) -> Index:
        """Around 4 √V centres, of which a query reads one until `probes` is raised."""
        faiss = _faiss()
        V, D = table_VD.shape
        L = max(1, min(V // 2, round(4 * math.sqrt(V))))
        sample = np.random.default_rng(seed).permutation(V)[: L * PER_GROUP]
        table = _array(table_VD)
        kmeans = faiss.Kmeans(D, L, seed=seed, spherical=False, min_points_per_centroid=1)
        kmeans.train(table[sample])
        quantizer = faiss.IndexFlatIP(D)
        quantizer.add(kmeans.centroids)
        _, groups = quantizer.search(table, 1)
        return cls(table_VD, torch.from_numpy(kmeans.centroids.copy()), torch.from_numpy(groups[:, 0].copy()), probes=1)

    def search(self, queries_BD: Tensor, k: int) -> tuple[list[list[int]], list[list[float]]]:
        """Indices and scores of about the k best items of each query, best first; fewer where its groups have no more."""
        self._items.nprobe = self.probes
        scores, indices = self._items.search(_array(queries_BD), k)
        found = [row[row >= 0] for row in indices]
        return [row.tolist() for row in found], [
            row[: len(one)].tolist() for row, one in zip(scores, found, strict=True)
        ]


def read_index(folder: Path, table_VD: Tensor) -> Index:
    """The index of an exported folder. Raises `UserError` if it is damaged or another model's."""
    tensors, header = load_checkpoint(folder / INDEX)
    if header.get("model") != check_sum(folder):
        raise UserError(f"{folder / INDEX} is of another model; make it again: python -m fame.index --model {folder}")
    centres_LD, groups_V, probes = tensors.get("centres"), tensors.get("groups"), header.get("probes")
    # faiss does not look at what it is given.
    if not (
        _fits(centres_LD, torch.float32, (-1, table_VD.shape[1]))
        and _fits(groups_V, torch.int64, (len(table_VD),))
        and int(groups_V.min()) >= 0
        and int(groups_V.max()) < len(centres_LD)
        and isinstance(probes, int)
        and 1 <= probes <= len(centres_LD)
    ):
        raise UserError(f"{folder / INDEX} is damaged; make it again: python -m fame.index --model {folder}")
    return Index(table_VD, centres_LD, groups_V, probes)


def write_index(folder: Path, index: Index, recall: float) -> None:
    """Write the index of an exported folder. Raises `OSError`."""
    header = {"model": check_sum(folder), "probes": index.probes, "recall": recall}
    save_checkpoint(folder / INDEX, {"centres": index.centres_LD, "groups": index.groups_V}, header)


def _fits(tensor: Tensor | None, dtype: torch.dtype, shape: tuple[int, ...]) -> bool:
    return (
        tensor is not None
        and tensor.dtype == dtype
        and tensor.dim() == len(shape)
        and all(wanted in (-1, size) for wanted, size in zip(shape, tensor.shape, strict=True))
    )


def check_sum(folder: Path) -> str:
    """Of an exported folder's weights."""
    with (folder / "model.safetensors").open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _array(rows: Tensor) -> np.ndarray:
    """Rows as faiss reads them."""
    return np.ascontiguousarray(rows.detach().numpy())


def _faiss() -> Any:
    try:
        faiss = importlib.import_module("faiss")
    except ImportError:
        raise UserError(
            f"an index ({INDEX}) needs faiss: pip install faiss-cpu, or remove the file for exact scores"
        ) from None
    faiss.omp_set_num_threads(torch.get_num_threads())
    return faiss
