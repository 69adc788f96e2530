"""DuoRec (Qiu et al., WSDM 2022): contrastive regularisation without changing a sequence.

Letters: B batch, T time, D width, M training windows.

Two views of a row that mean the same. One is the row again under another dropout, h'. The other, h'_s, is a random
sequence among those with the same next item (the row itself where there is no other). They are the pair of an InfoNCE
whose negatives are both views of all other rows of the batch, with the dot product as similarity
(`fame.models.baselines.contrast.info_nce`):

    L = L_next item + λ · mean over rows of ½ (−log p(h'_s | h') − log p(h' | h'_s)),

which regularises what dropout and sparsity leave in a narrow cone. `pairs` chooses what is contrasted: `cross` is
that, the paper's model; `dropout` is the row as it was trained, h, with h'; `target` is h with h'_s.

What differs from the paper, and why:
- Every row of a batch counts, in both modes of training; the paper trains prefixes (`train.mode: prefix`), where a row's
  last target is its only one. With `all` the same last target is that of the newest item.
- The partner of each window is drawn once an epoch, for all of them, and read from the device as any window is.
- With several workers the negatives are the rows of all of them.
- Positions are a relative bias by default, as in all transformers here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from torch import Tensor

from fame.datasets.batches import Batch
from fame.losses.objective import Objective
from fame.models.base import EXACT, EpochStart
from fame.models.baselines.contrast import ContrastConfig, info_nce
from fame.models.sasrec import SASRec
from fame.registry import models


@dataclass(frozen=True, kw_only=True)
class DuoRecConfig(ContrastConfig):
    """DuoRec (Qiu et al., 2022): SASRec with contrastive regularisation."""

    name: Literal["duorec"] = "duorec"  # type: ignore[assignment]
    pairs: Literal["cross", "dropout", "target"] = "cross"
    """The pairs of the contrast: both views; the row and its dropout view; the row and its same-target view."""


@models.register("duorec")
class DuoRec(SASRec):
    """SASRec that adds InfoNCE between a row, its dropout view and a sequence with the same target to its loss."""

    Config = DuoRecConfig
    config: DuoRecConfig

    def start_epoch(self, epoch: EpochStart) -> None:
        windows = epoch.batcher.windows
        targets = epoch.sequences.values[windows.starts + windows.lengths]
        self.partners, self.batcher = same_target(targets, epoch.generator), epoch.batcher

    def forward(self, batch: Batch, objective: Objective = EXACT) -> Tensor:
        queries_RD = self.queries(batch)
        contrast = self.contrast(batch, queries_RD[batch.last_R])
        return objective(self, queries_RD, batch.targets_R) + batch.part(self.config.contrast_weight * contrast)

    def contrast(self, batch: Batch, queries_BD: Tensor) -> Tensor:
        """The contrastive term of the whole batch, a mean over its rows; `queries` are those of its last positions."""
        pairs = self.config.pairs
        one_BD = queries_BD if pairs == "target" else self.encode(batch.items_BT, batch.lengths_B)
        two_BD = queries_BD if pairs == "dropout" else self._same_target(batch)
        return info_nce(batch.all_rows(one_BD), batch.all_rows(two_BD), self.config)

    def _same_target(self, batch: Batch) -> Tensor:
        return self.encode(*self.batcher.gather(self.partners[batch.windows]))


def same_target(targets: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """For each entry another one with the same target, drawn uniformly; itself where there is none. int64 [M]."""
    members = np.argsort(targets, kind="stable")
    _, first, group, sizes = np.unique(targets[members], return_index=True, return_inverse=True, return_counts=True)
    within = np.arange(len(members)) - first[group]
    others = sizes[group] - 1
    # From its own place on, so that nobody is its own partner; alone, the step is 0.
    step = np.where(others > 0, 1 + generator.integers(np.maximum(others, 1)), 0)
    partners = np.empty_like(members)
    partners[members] = members[first[group] + (within + step) % sizes[group]]
    return partners
