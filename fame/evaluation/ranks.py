"""Per-user ranks of a final evaluation, by which two models can be compared user by user.

`ranks.safetensors` of an exported model has the rank of every user's held-out item in validation and test, once for
each seed, in the order of the users in the prepared data. Its header says on which data (the fingerprint also
fixes that order) and by which rules they were found: only ranks that agree in both can be compared.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from fame.artifacts.checkpoint import load_checkpoint, save_checkpoint
from fame.config import EvaluateConfig
from fame.datasets.sequences import PARTS, Part
from fame.errors import UserError
from fame.evaluation.metrics import user_metrics

RANKS = "ranks.safetensors"


def rules(evaluate: EvaluateConfig) -> dict[str, Any]:
    """What decides a rank besides the data and the model."""
    return {"split": "leave-one-out", "candidates": "all items", "exclude_seen": evaluate.exclude_seen}


@dataclass(frozen=True, kw_only=True)
class Ranks:
    """Ranks of one configuration's models, which differ in their seeds."""

    fingerprint: str
    """Fingerprint of the data that the ranks belong to."""
    rules: Mapping[str, Any]
    by_seed: Mapping[int, Mapping[Part, Tensor]]
    """Ranks counted from 0, half-integers where scores tie; float32 [U]."""

    def write(self, path: Path) -> None:
        """Raises `OSError` if it cannot."""
        tensors = {f"{part}.{seed}": ranks_U for seed, parts in self.by_seed.items() for part, ranks_U in parts.items()}
        header = {"fingerprint": self.fingerprint, "rules": dict(self.rules), "seeds": list(self.by_seed)}
        save_checkpoint(path, tensors, header)

    @classmethod
    def read(cls, path: Path) -> Ranks:
        """Raises `UserError` for a file that is missing, damaged or another one."""
        tensors, header = load_checkpoint(path)
        try:
            by_seed = {seed: {part: tensors[f"{part}.{seed}"] for part in PARTS} for seed in header["seeds"]}
            return cls(fingerprint=header["fingerprint"], rules=header["rules"], by_seed=by_seed)
        except (KeyError, TypeError) as error:
            raise UserError(f"{path} holds no ranks of a final evaluation (no {error})") from None

    def metric(self, name: str, part: Part) -> Tensor:
        """A metric such as ``ndcg@10`` of every user, mean over seeds; float64 [U]."""
        return torch.stack([user_metrics(parts[part], [cutoff(name)])[name] for parts in self.by_seed.values()]).mean(0)


def cutoff(metric: str) -> int:
    """The k of ``hr@k`` or ``ndcg@k``. Raises `UserError` for any other name."""
    name, _, k = metric.partition("@")
    if name not in ("hr", "ndcg") or not (k.isascii() and k.isdigit()) or int(k) < 1:
        raise UserError(f"metric '{metric}': must be hr@K or ndcg@K with a whole K of at least 1, such as ndcg@10")
    return int(k)
