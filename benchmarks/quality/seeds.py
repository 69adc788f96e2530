"""The result of one training of a row: a JSON file, and the ranks of its users beside it.

    benchmarks/results/quality/DATASET/ROW-SEED.json     metrics, configuration, where it comes from
    benchmarks/results/quality/DATASET/ROW-SEED.npz      rank of every user's held-out item

Ranks of `LAST` and beyond are one: no metric of the tables can tell them apart, and so a seed takes 9 kB.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.harness import RESULTS
from benchmarks.quality.rows import Row
from benchmarks.quality.tables import CUTOFFS
from fame.config import Experiment
from fame.config.tree import experiment_from_dict
from fame.datasets.sequences import PARTS, Part
from fame.evaluation.ranks import Ranks

FOLDER = RESULTS / "quality"
LAST = max(CUTOFFS)


@dataclass(frozen=True, kw_only=True)
class SeedResult:
    """One training of one row."""

    content: Mapping[str, Any]
    """The JSON file's."""
    ranks: Ranks

    @property
    def seed(self) -> int:
        return self.content["seed"]

    @property
    def experiment(self) -> Experiment:
        return experiment_from_dict(self.content["configuration"])


def path_of(row: Row, seed: int, folder: Path = FOLDER) -> Path:
    return folder / row.dataset / f"{row.name}-{seed}.json"


def write(path: Path, content: Mapping[str, Any], ranks: Ranks) -> None:
    """Write both files of a training with a single seed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    (parts,) = ranks.by_seed.values()
    header = {"fingerprint": ranks.fingerprint, "rules": dict(ranks.rules)}
    np.savez_compressed(
        path.with_suffix(".npz"),
        header=np.array(json.dumps(header)),
        **{part: _halves(ranks_U) for part, ranks_U in parts.items()},
    )
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def read(path: Path) -> SeedResult:
    """Return the result that `write` wrote."""
    content = json.loads(path.read_text(encoding="utf-8"))
    with np.load(path.with_suffix(".npz"), allow_pickle=False) as arrays:
        parts: dict[Part, Tensor] = {part: torch.from_numpy(arrays[part] / np.float32(2)) for part in PARTS}
        header = json.loads(str(arrays["header"]))
    ranks = Ranks(fingerprint=header["fingerprint"], rules=header["rules"], by_seed={content["seed"]: parts})
    return SeedResult(content=content, ranks=ranks)


def results_of(row: Row, folder: Path = FOLDER) -> list[SeedResult]:
    """All seeds of a row that have been trained, by seed."""
    paths = (folder / row.dataset).glob(f"{row.name}-*.json")
    found = [read(path) for path in paths if path.stem.rpartition("-")[0] == row.name]
    return sorted(found, key=lambda one: one.seed)


def _halves(ranks_U: Tensor) -> np.ndarray:
    """Ranks are multiples of a half."""
    return (2 * ranks_U).clamp(max=2 * LAST).to(torch.uint8).numpy()
