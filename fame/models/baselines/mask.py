"""SASRec that reads a mask among the items: what models share that hide items at random."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from fame.models.base import EpochStart
from fame.models.sasrec import SASRec, SASRecConfig


class MaskReader(SASRec):
    """The number V + 1 is the mask, which is read as a vector of its own and is no item.

    `generator` has the random numbers of the epoch, the same on all workers (`Batch.draw`).
    """

    def __init__(self, config: SASRecConfig, item_count: int, max_length: int) -> None:
        super().__init__(config, item_count, max_length)
        self.mask_D = nn.Parameter(torch.empty(config.dim).normal_(std=config.init_std))
        self.generator = torch.Generator()

    @property
    def mask_number(self) -> int:
        return int(self.item_count + 1)

    def start_epoch(self, epoch: EpochStart) -> None:
        self.generator = epoch.torch_generator()

    def _vectors(self, items_BT: Tensor) -> Tensor:
        is_mask_BT = items_BT == self.mask_number
        x_BTD = super()._vectors(items_BT.masked_fill(is_mask_BT, 0))
        return torch.where(is_mask_BT[..., None], self.mask_D, x_BTD)
