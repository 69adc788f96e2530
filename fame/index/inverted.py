"""The index, and its file.

Letters: B users, D model width, E = D + 1, V items, L groups.
"""

from __future__ import annotations

import hashlib
import importlib
import math
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np
import torch
from torch import Tensor

from fame.artifacts.checkpoint import load_checkpoint, save_checkpoint
from fame.errors import UserError

INDEX = "index.safetensors"
PER_GROUP = 64
"""Items that k-means sees for each centre."""


class Index:
    """Items in groups. `search` finds about the best of them.

    Queries are no items and items differ in length, so the items whose dot product with a query is largest are not near
    it. Each vector gets one more coordinate: sqrt(M² − |x|²) for an item x, with M the length of the longest item, and
    0 for a query. Then all items have the same length, and the best ones are the nearest (Bachrach et al., 2014).
    """

    def __init__(self, table_VD: Tensor, centres_LE: Tensor, groups_V: Tensor, probes: int) -> None:
        """centres_LE: [L, D + 1]; probes: how many groups a query reads."""
        faiss = _faiss()
        self.table_VD, self.centres_LE, self.groups_V, self.probes = table_VD.detach(), centres_LE, groups_V, probes
        items_VE, self.length = lengthened(self.table_VD)
        L, E = centres_LE.shape
        self._quantizer = faiss.IndexFlatL2(E)
        self._quantizer.add(_array(centres_LE))
        self._items = faiss.IndexIVFFlat(self._quantizer, E, L, faiss.METRIC_L2)
        self._items.add_core(len(items_VE), faiss.swig_ptr(items_VE), None, faiss.swig_ptr(groups_V.numpy()))

    @classmethod
    def build(cls, table_VD: Tensor, seed: int = 0) -> Index:
        """Around 4 √V centres, of which a query reads one until `probes` is raised."""
        faiss = _faiss()
        items_VE, _ = lengthened(table_VD.detach())
        V, E = items_VE.shape
        L = max(1, min(V // 2, round(4 * math.sqrt(V))))
        sample = np.random.default_rng(seed).permutation(V)[: L * PER_GROUP]
        kmeans = faiss.Kmeans(E, L, seed=seed, min_points_per_centroid=1)
        kmeans.train(items_VE[sample])
        quantizer = faiss.IndexFlatL2(E)
        quantizer.add(kmeans.centroids)
        _, groups = quantizer.search(items_VE, 1)
        return cls(table_VD, torch.from_numpy(kmeans.centroids.copy()), torch.from_numpy(groups[:, 0].copy()), probes=1)

    def search(self, queries_BD: Tensor, k: int) -> tuple[list[list[int]], list[list[float]]]:
        """Indices and scores of about the k best items of each query, best first; fewer where its groups have no more."""
        self._items.nprobe = self.probes
        # A query's own length changes no order of items, but which centres are near it: it gets that of the items.
        same_BD = torch.nn.functional.normalize(queries_BD, dim=1) * self.length
        _, indices = self._items.search(_array(torch.nn.functional.pad(same_BD, (0, 1))), k)
        found = [torch.from_numpy(row[row >= 0]) for row in indices]
        scores = [self.table_VD[one] @ query_D for one, query_D in zip(found, queries_BD, strict=True)]
        return [one.tolist() for one in found], [one.tolist() for one in scores]


def lengthened(table_VD: Tensor) -> tuple[np.ndarray, float]:
    """Items with the coordinate that makes them all as long as the longest, [V, D + 1], and that length."""
    squares_V = table_VD.square().sum(1)
    longest = squares_V.max()
    last_V = (longest - squares_V).clamp(min=0).sqrt()  # rounding may leave less than nothing
    return _array(torch.cat([table_VD, last_V[:, None]], 1)), float(longest.sqrt())


def read_index(folder: Path, table_VD: Tensor) -> Index:
    """The index of an exported folder. Raises `UserError` if it is damaged or another model's."""
    tensors, header = load_checkpoint(folder / INDEX)
    if header.get("model") != check_sum(folder):
        raise UserError(f"{folder / INDEX} is of another model; make it again: python -m fame.index --model {folder}")
    centres_LE, groups_V, probes = tensors.get("centres"), tensors.get("groups"), header.get("probes")
    # faiss does not look at what it is given.
    if not (
        _fits(centres_LE, torch.float32, (-1, table_VD.shape[1] + 1))
        and _fits(groups_V, torch.int64, (len(table_VD),))
        and int(groups_V.min()) >= 0
        and int(groups_V.max()) < len(centres_LE)
        and isinstance(probes, int)
        and 1 <= probes <= len(centres_LE)
    ):
        raise UserError(f"{folder / INDEX} is damaged; make it again: python -m fame.index --model {folder}")
    return Index(table_VD, centres_LE, groups_V, probes)


def write_index(folder: Path, index: Index, recall: float) -> None:
    """Write the index of an exported folder. Raises `OSError`."""
    header = {"model": check_sum(folder), "probes": index.probes, "recall": recall}
    save_checkpoint(folder / INDEX, {"centres": index.centres_LE, "groups": index.groups_V}, header)


def _fits(tensor: Tensor | None, dtype: torch.dtype, shape: tuple[int, ...]) -> TypeGuard[Tensor]:
    return (
        tensor is not None
        and tensor.dtype == dtype
        and tensor.dim() == len(shape)
        and all(wanted in (-1, size) for wanted, size in zip(shape, tensor.shape, strict=True))
    )


def check_sum(folder: Path) -> str:
    """Return the hash of the exported weights."""
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
