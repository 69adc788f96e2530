"""Per-user ranks of a final evaluation, by which two models can be compared user by user.

`ranks.safetensors` of an exported model has the rank of every user's held-out items in validation and test, once for
each seed, in the order of the prepared data. Its header names the data (the fingerprint also fixes that order) and the
rules. Only ranks that agree in both can be compared.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from fame.artifacts.checkpoint import load_checkpoint, save_checkpoint
from fame.config import Experiment
from fame.datasets.sequences import PARTS, Part
from fame.errors import UserError
from fame.evaluation.metrics import user_metrics

RANKS = "ranks.safetensors"


def rules(experiment: Experiment) -> dict[str, Any]:
    """The rules that decide a rank besides the data and the model."""
    evaluate = experiment.evaluate
    return {
        "split": str(experiment.data.split),
        "candidates": f"{evaluate.candidates} items",
        "exclude_seen": evaluate.exclude_seen,
    }


@dataclass(frozen=True, kw_only=True)
class Ranks:
    """Ranks of one configuration's models, which differ in their seeds."""

    fingerprint: str
    """Fingerprint of the data that the ranks belong to."""
    rules: Mapping[str, Any]
    by_seed: Mapping[int, Mapping[Part, Tensor]]
    """Ranks counted from 0, half-integers where scores tie; float32 [N], a user's targets together."""
    counts: Mapping[Part, Tensor] = field(default_factory=dict)
    """Targets of each user that has any, int32 [U]; a part where each has one is left out."""

    def write(self, path: Path) -> None:
        """Raises `OSError` if it cannot."""
        tensors = {f"{part}.{seed}": ranks_N for seed, parts in self.by_seed.items() for part, ranks_N in parts.items()}
        tensors |= {f"{part}.targets": counts_U for part, counts_U in self.counts.items()}
        header = {"fingerprint": self.fingerprint, "rules": dict(self.rules), "seeds": list(self.by_seed)}
        save_checkpoint(path, tensors, header)

    @classmethod
    def read(cls, path: Path) -> Ranks:
        """Raises `UserError` for a file that is missing, damaged or another one."""
        tensors, header = load_checkpoint(path)
        counts = {part: tensors[f"{part}.targets"] for part in PARTS if f"{part}.targets" in tensors}
        try:
            by_seed = {seed: {part: tensors[f"{part}.{seed}"] for part in PARTS} for seed in header["seeds"]}
            return cls(fingerprint=header["fingerprint"], rules=header["rules"], by_seed=by_seed, counts=counts)
        except (KeyError, TypeError) as error:
            raise UserError(f"{path} holds no ranks of a final evaluation (no {error})") from None

    def metric(self, name: str, part: Part) -> Tensor:
        """A metric of accuracy such as ``ndcg@10`` of every user, mean over seeds; float64 [U]."""
        counts_U = self.counts.get(part)
        return torch.stack([user_metrics(parts[part], [name], counts_U)[name] for parts in self.by_seed.values()]).mean(
            0
        )
