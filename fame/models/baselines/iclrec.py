"""ICLRec (Chen et al., WWW 2022): sequences with the same intent are drawn to it, intents being clusters of sequences.

Letters: B batch, T time, D width, M training windows, K intents.

Expectation and maximisation in turn, an epoch each. Before an epoch all training windows are encoded: h is the mean of
their positions' hidden states. k-means clusters them. The K centres, scaled to length 1, are the intents, and c_i is
that of row i. The epoch then minimises

    L = L_next item + λ · ½ (NCE(z, c) + NCE(z', c)) + β · NCE(z, z'),

with z, z' the mean of the positions of two random views of the row (crop, mask, reorder: `fame.models.baselines.views`), and
NCE the InfoNCE of `fame.models.baselines.contrast`. Against an intent, rows of the batch with the same one are no
negatives (they would be false: most batches have several), here written into the sums:

    NCE(z, c) = mean over rows and sides of −log( exp(z_i·c_i) / (exp(z_i·c_i) + Σ_{j: c_j ≠ c_i} (exp(z_i·c_j) + exp(z_i·z_j))) )

What differs from the paper and its authors' code, and why:
- A row's intent is the one that clustering gave its window; their code asks the centres again for each batch. Within an
  epoch that is the algorithm as printed, and costs nothing.
- As in their code, intents are anchors as well as rows are; the paper prints the rows' side alone.
- NCE(z, z') is between means, too. Their code strings all positions together, padding included, which says something
  only where every row is padded to the same length on the left.
- Views hide items behind a learned vector, as in CL4SRec; their code reads the padding there. Views default to the shares
  of their code. Next-item loss and positions are as in CL4SRec here.
- k-means is Lloyd's, from random windows, 20 iterations, with the random numbers of the epoch; theirs restarts five times.
- One number of intents; the paper's results with several at once are no better.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from fame.config import Count, Fraction, NotNegative
from fame.datasets.batches import Batch
from fame.models.base import EpochStart
from fame.models.baselines.cl4srec import CL4SRec, CL4SRecConfig
from fame.models.baselines.contrast import info_nce
from fame.models.baselines.kmeans import kmeans
from fame.registry import models
from fame.runtime.parallel import gather_rows

ITERATIONS = 20
TOGETHER = 512
"""Windows that are encoded together."""


@dataclass(frozen=True, kw_only=True)
class ICLRecConfig(CL4SRecConfig):
    """ICLRec (Chen et al., 2022): contrastive learning with the intents of clustered sequences."""

    name: Literal["iclrec"] = "iclrec"  # type: ignore[assignment]
    crop: Fraction = 0.2
    """η, share of the items that a crop keeps."""
    mask: Fraction = 0.7
    """γ, share of the items that a mask hides."""
    reorder: Fraction = 0.2
    """β of the operators, share of the items that a reorder shuffles."""
    intents: Count = 256
    """K, clusters of sequences; as many as there are windows, if those are fewer."""
    intent_weight: NotNegative = 0.1
    """λ, weight of the intents' term; `contrast_weight` is β, that of the views' term."""


@models.register("iclrec")
class ICLRec(CL4SRec):
    """CL4SRec whose views are contrasted with the intents of their rows, too, and are the mean of their positions."""

    Config = ICLRecConfig
    config: ICLRecConfig

    def start_epoch(self, epoch: EpochStart) -> None:
        super().start_epoch(epoch)
        centres_KD, self.intent_M = kmeans(self._windows(epoch), self.config.intents, ITERATIONS, self.generator)
        self.intents_KD = F.normalize(centres_KD, dim=1)

    def contrast(self, batch: Batch) -> Tensor:
        one_BD, two_BD = self.two_views(batch)
        intent_B = batch.all_rows(self.intent_M[torch.from_numpy(batch.windows).to(self.intent_M.device)])
        intents_BD, alike_BB = self.intents_KD[intent_B], intent_B[:, None] == intent_B
        of_intents = sum(info_nce(view_BD, intents_BD, self.config, alike_BB) for view_BD in (one_BD, two_BD)) / 2
        of_views = info_nce(one_BD, two_BD, self.config)
        return self.config.contrast_weight * of_views + self.config.intent_weight * of_intents

    def represent(self, items_BT: Tensor, lengths_B: Tensor) -> Tensor:
        """The mean of the hidden states of a row's real positions, [B, D]."""
        real_BT = torch.arange(items_BT.shape[1], device=items_BT.device) < lengths_B[:, None]
        return (self.hidden(items_BT, lengths_B) * real_BT[..., None]).sum(1) / lengths_B[:, None]

    def _windows(self, epoch: EpochStart) -> Tensor:
        """Representations of all training windows, [M, D]; each worker encodes its share of them."""
        order = np.argsort(epoch.batcher.windows.lengths, kind="stable")
        own = order[epoch.workers.rank :: epoch.workers.size]
        parts = [own[start : start + TOGETHER] for start in range(0, len(own), TOGETHER)]
        found = [self.represent(*epoch.batcher.gather(part)) for part in parts or [order[:1]]]
        sorted_MD = gather_rows(torch.cat(found)[: len(own)], epoch.workers.share, len(order))
        return sorted_MD[torch.from_numpy(np.argsort(order)).to(sorted_MD.device)]
