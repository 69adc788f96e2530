"""CL4SRec (Xie et al., ICDE 2022): SASRec, and two random views of a sequence that are to know each other.

Letters: B batch, T time, D width.

Each row of a batch is changed twice, by operators drawn at random: a crop keeps ⌊ηL⌋ of its L items in a row, a mask
hides ⌊γL⌋ of them, a reorder shuffles ⌊βL⌋ in a row (`fame.models.baselines.views`). z and z' are the queries of the
two views, and s is a similarity (the dot product in the paper). A view has to tell the other one of its row from those
of all other rows of the batch:

    L = L_next item + λ · mean_i −log( exp(s(z_i, z_i')) / (exp(s(z_i, z_i')) + Σ_{j≠i} Σ_{views} exp(s(z_i, z_j))) )

What differs from the paper, and why:
- The next item is learned with the loss that `train.loss` names (theirs: binary cross entropy with one negative),
  and positions are a relative bias by default, as in all transformers here.
- Temperature and cosine are settings; at their defaults this is the paper's dot product.
- With several workers the negatives are the rows of all of them.
- Views are made on the device, all three operators for every row, of which it takes one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from fame.config import Fraction, require
from fame.datasets.batches import Batch
from fame.losses.objective import Objective
from fame.models.base import EXACT
from fame.models.baselines.contrast import ContrastConfig, info_nce
from fame.models.baselines.mask import MaskReader
from fame.models.baselines.views import crop, mask, reorder
from fame.registry import models

OPERATORS: tuple[Literal["crop", "mask", "reorder"], ...] = ("crop", "mask", "reorder")


@dataclass(frozen=True, kw_only=True)
class CL4SRecConfig(ContrastConfig):
    """CL4SRec (Xie et al., 2022): SASRec with contrastive learning between random views."""

    name: Literal["cl4srec"] = "cl4srec"  # type: ignore[assignment]
    views: tuple[Literal["crop", "mask", "reorder"], ...] = OPERATORS
    """Operators that views are drawn from, each as likely."""
    crop: Fraction = 0.6
    """η, share of the items that a crop keeps."""
    mask: Fraction = 0.3
    """γ, share of the items that a mask hides."""
    reorder: Fraction = 0.6
    """β, share of the items that a reorder shuffles."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(0 < len(set(self.views)) == len(self.views), "model.views", self.views, "must name operators, once")


@models.register("cl4srec")
class CL4SRec(MaskReader):
    """SASRec that adds InfoNCE of two views to its loss; hidden items are read as a vector of their own."""

    Config: type[CL4SRecConfig] = CL4SRecConfig
    config: CL4SRecConfig

    def forward(self, batch: Batch, objective: Objective = EXACT) -> Tensor:
        return super().forward(batch, objective) + batch.part(self.contrast(batch))

    def contrast(self, batch: Batch) -> Tensor:
        """The contrastive term of the whole batch, a mean over its rows with its weight."""
        return self.config.contrast_weight * info_nce(*self.two_views(batch), self.config)

    def two_views(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Representations of two random views of each row of the whole batch, [row_count, D] each."""
        (one_BT, lengths_B), (two_BT, other_lengths_B) = self.view(batch), self.view(batch)
        items, lengths = torch.cat([one_BT, two_BT]), torch.cat([lengths_B, other_lengths_B])
        views = batch.all_rows(torch.stack(self.represent(items, lengths).chunk(2), 1))
        return views[:, 0], views[:, 1]

    def represent(self, items_BT: Tensor, lengths_B: Tensor) -> Tensor:
        """Return the vectors by which views of sequences are compared, [B, D]."""
        return self.encode(items_BT, lengths_B)

    def view(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """A random view of each row: items [B, T], in which `mask_number` is a hidden one, and lengths [B]."""
        items_BT, lengths_B, config = batch.items_BT, batch.lengths_B, self.config
        numbers = batch.draw(self.generator, 2 + self.max_length)
        chosen_B1 = (numbers[:, :1] * len(config.views)).long()
        place_B, noise_BT = numbers[:, 1], numbers[:, 2 : 2 + items_BT.shape[1]]
        made = {
            "crop": crop(items_BT, lengths_B, config.crop, place_B),
            "mask": (mask(items_BT, lengths_B, config.mask, noise_BT, self.mask_number), lengths_B),
            "reorder": (reorder(items_BT, lengths_B, config.reorder, place_B, noise_BT), lengths_B),
        }
        items = torch.stack([made[name][0] for name in config.views])
        lengths = torch.stack([made[name][1] for name in config.views])
        return (
            items.gather(0, chosen_B1.expand_as(items_BT)[None])[0],
            lengths.gather(0, chosen_B1.T)[0],
        )
