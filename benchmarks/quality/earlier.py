"""Rows of a result that is there already, so that models can be added to it whose folders come later, or elsewhere.

`benchmarks/results/NAME.npz` has, beside `NAME.json`, the rank of every user's held-out item for every model, part and
seed. Ranks of `LAST` and beyond are one: no metric of the tables can tell them apart, and so they take 9 kB a seed.
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

from benchmarks.quality.tables import CUTOFFS
from fame.config import Experiment
from fame.config_tree import experiment_from_dict
from fame.errors import UserError
from fame.ranks import Ranks
from fame.sequences import PARTS, Part

LAST = max(CUTOFFS)


@dataclass(frozen=True, kw_only=True)
class EarlierModel:
    """A model as an earlier result has it."""

    entry: Mapping[str, Any]
    ranks: Ranks | None
    """None in results from before ranks were kept: its values stand, but nothing can be compared with it."""
    dataset: Mapping[str, Any]
    reference: Mapping[str, Any]
    """The row of the model that it was compared with."""

    @property
    def label(self) -> str:
        return self.entry["label"]

    @property
    def experiment(self) -> Experiment:
        return experiment_from_dict(self.configuration())

    def configuration(self) -> dict[str, Any]:
        return self.entry["configuration"]

    def to_dict(self) -> dict[str, Any]:
        """Without what depends on the other models."""
        return {key: value for key, value in self.entry.items() if key != "against_reference"}

    def against(self, reference: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """How it differed from the reference then, if that is the same still: by name, seeds and values, kept or trained again."""
        same = all(reference[key] == self.reference[key] for key in ("label", "seeds", *PARTS))
        return self.entry.get("against_reference") if same else None


def read_earlier(path: Path, label: str) -> EarlierModel:
    """The row `label` of a result, `path` its JSON. Raises `UserError` if there is none."""
    if not path.is_file():
        raise UserError(
            f"{label}: must be LABEL=FOLDER, such as SASRec=runs/beauty-sasrec; no result {path} has rows to keep"
        )
    result = json.loads(path.read_text(encoding="utf-8"))
    entries = {entry["label"]: entry for entry in result["models"]}
    if label not in entries:
        raise UserError(f"{label}: must be LABEL=FOLDER, or a row of {path}: {', '.join(entries)}")
    return EarlierModel(
        entry=entries[label],
        ranks=read_ranks(path.with_suffix(".npz")).get(label),
        dataset=result["dataset"],
        reference=entries[result["reference"]],
    )


def write_ranks(path: Path, models: Mapping[str, Ranks | None]) -> None:
    """Ranks by label, without those that are not known."""
    known = {label: ranks for label, ranks in models.items() if ranks is not None}
    header = {
        label: {"fingerprint": ranks.fingerprint, "rules": dict(ranks.rules), "seeds": list(ranks.by_seed)}
        for label, ranks in known.items()
    }
    halves = {
        _name(label, part, seed): _halves(ranks_U)
        for label, ranks in known.items()
        for seed, parts in ranks.by_seed.items()
        for part, ranks_U in parts.items()
    }
    np.savez_compressed(path, header=np.array(json.dumps(header)), **halves)


def read_ranks(path: Path) -> dict[str, Ranks]:
    """What `write_ranks` wrote; nothing if there is no such file."""
    if not path.is_file():
        return {}
    with np.load(path, allow_pickle=False) as arrays:
        return {
            label: Ranks(
                fingerprint=one["fingerprint"],
                rules=one["rules"],
                by_seed={
                    seed: {part: torch.from_numpy(arrays[_name(label, part, seed)] / np.float32(2)) for part in PARTS}
                    for seed in one["seeds"]
                },
            )
            for label, one in json.loads(str(arrays["header"])).items()
        }


def _halves(ranks_U: Tensor) -> np.ndarray:
    """Ranks are multiples of a half."""
    return (2 * ranks_U).clamp(max=2 * LAST).to(torch.uint8).numpy()


def _name(label: str, part: Part, seed: int) -> str:
    return f"{label}.{part}.{seed}"
