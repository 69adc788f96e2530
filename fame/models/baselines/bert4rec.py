"""BERT4Rec (Sun et al., CIKM 2019, arXiv 1904.06690): attention in both directions, trained to fill gaps.

Letters: B batch, T time, D width, V items, R masked positions; ρ the share that is masked.

SASRec's transformer with attention in both directions reads a sequence in which some items are replaced by a mask,
a vector of its own, and says what they were (the cloze task):

    H = Transformer(x),   q_t = LN(GELU(W H_t + b)),   score_v = q_t · x_v,
    loss = mean over masked t of −log softmax(score)_{item t}.

Each item is masked with the probability ρ, in every row at least one. To recommend, a mask is put after the
history. Nothing in the task says that a mask comes last, so some of the rows mask their last item and no other,
as the paper does.

A training row is a window of the user's training part with the target of its last position, in `train.mode: all` a
whole sequence; `prefix` makes a row of each prefix. A row teaches only what is masked, so a step reads each of its rows
several times (`copies`; four times an epoch costs 2.5 of SASRec's). A step counts as many targets as its windows have, so that a
loss, a learning rate and `clip_norm` mean what they mean for other models: it is the mean over the masks of all
workers, times those targets.

What differs from the paper, and why:
- There is no bias per item in the score, which is a dot product here.
- Masks are drawn anew in each step; the paper's code draws ten for each row beforehand, and one of the last item.
- Positions are a relative bias, of either sign, by default; `positions: absolute` is the paper's.
- `hidden`, which asks for all positions at once, reads each prefix as a row of its own (`PrefixModel`): the state at
  an item of a longer history has seen what followed it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fame.config import Count, Range, Share, TrainConfig
from fame.datasets.batches import Batch
from fame.losses.objective import Objective
from fame.models.base import EXACT, PrefixModel
from fame.models.baselines.mask import MaskReader
from fame.models.sasrec import SASRecConfig
from fame.registry import models


@dataclass(frozen=True, kw_only=True)
class Bert4RecConfig(SASRecConfig):
    """BERT4Rec (Sun et al., 2019): a transformer in both directions, trained on masked items."""

    causal: ClassVar[bool] = False

    name: Literal["bert4rec"] = "bert4rec"  # type: ignore[assignment]
    mask_rate: Annotated[float, Range(low=0, high=1, open_low=True, open_high=True)] = 0.4
    """ρ, share of the items of a row that are masked."""
    last_rate: Share = 0.1
    """Share of the rows that mask their last item alone."""
    copies: Count = 4
    """Times that a step reads each of its rows, every time with other masks."""

    def check_training(self, train: TrainConfig) -> None:
        """Every way of training goes: a row is read whole, so its positions may count from its end."""


class Cloze(PrefixModel, MaskReader):
    """SASRec's parts in both directions, with a mask among the items; what Bert4Rec adds is its output layer."""

    config: Bert4RecConfig

    def __init__(self, config: Bert4RecConfig, item_count: int, max_length: int) -> None:
        super().__init__(config, item_count, max_length + 1)  # a mask follows the longest history

    def encode(self, items_BT: Tensor, lengths_B: Tensor) -> Tensor:
        return super().encode(*self._asked(items_BT, lengths_B))

    def facet_queries(self, items_BT: Tensor, lengths_B: Tensor) -> tuple[Tensor, Tensor] | None:
        return super().facet_queries(*self._asked(items_BT, lengths_B))

    def experts(self, items_BT: Tensor, lengths_B: Tensor) -> tuple[Tensor, Tensor] | None:
        """As everywhere, of the items alone: what an expert attends to of the mask, where it looks from, is left out."""
        found = super().experts(*self._asked(items_BT, lengths_B))
        if found is None:
            return None
        attention_BHNT, shares_BHN = found
        real_BT = self._real(items_BT, lengths_B)
        attention_BHNT = attention_BHNT[..., :-1].masked_fill(~real_BT[:, None, None], 0)
        return attention_BHNT / attention_BHNT.sum(-1, keepdim=True), shares_BHN

    def forward(self, batch: Batch, objective: Objective = EXACT) -> Tensor:
        items_BT, lengths_B = self._rows(batch)
        masked_BT = self._masks(batch, items_BT, lengths_B)
        x_BTD = self._before_last_block(items_BT.masked_fill(masked_BT, self.mask_number), lengths_B)
        queries_BTD = self._query(self.blocks[-1](x_BTD, real_BS=self._real(items_BT, lengths_B)))
        loss = objective(self, queries_BTD[masked_BT], items_BT[masked_BT])
        masks = masked_BT.view(len(batch.items_BT), -1).sum(1)
        return loss * (batch.target_count / batch.all_rows(masks).sum())

    def _rows(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """The batch's windows, each with the target of its last position, and their lengths; copies follow each other."""
        items_BT, lengths_B = F.pad(batch.items_BT, (0, 1)), batch.lengths_B
        if len(batch.targets_R):
            items_BT[torch.arange(len(items_BT), device=items_BT.device), lengths_B] = batch.targets_R[batch.last_R]
            lengths_B = lengths_B + 1
        return items_BT.repeat_interleave(self.config.copies, 0), lengths_B.repeat_interleave(self.config.copies)

    def _masks(self, batch: Batch, items_BT: Tensor, lengths_B: Tensor) -> Tensor:
        """Return whether each item is masked, bool [B, T]; none on a worker that has no rows."""
        T, config = items_BT.shape[1], self.config
        real_BT = self._real(items_BT, lengths_B)
        # As many numbers, however long the rows of a worker are.
        numbers_BT = batch.draw(self.generator, config.copies, self.max_length + 1).flatten(0, 1)
        chances_BT = numbers_BT[:, :T].masked_fill(~real_BT, 2.0)
        at_random_BT = (chances_BT < config.mask_rate) | (chances_BT == chances_BT.amin(1, keepdim=True))
        last_BT = torch.arange(T, device=items_BT.device) == lengths_B[:, None] - 1
        masked_BT = torch.where(numbers_BT[:, -1:] < config.last_rate, last_BT, at_random_BT)
        return masked_BT & (len(batch.targets_R) > 0)

    def _asked(self, items_BT: Tensor, lengths_B: Tensor) -> tuple[Tensor, Tensor]:
        """Histories, each with a mask after its last item."""
        return F.pad(items_BT, (0, 1)).scatter(1, lengths_B[:, None], self.mask_number), lengths_B + 1

    def _real(self, items_BT: Tensor, lengths_B: Tensor) -> Tensor:
        """Return whether each place is an item and not padding, bool [B, T]."""
        return torch.arange(items_BT.shape[1], device=items_BT.device) < lengths_B[:, None]

    def _before_last_block(self, items_BT: Tensor, lengths_B: Tensor) -> Tensor:
        x_BTD, real_BT = self._embed(items_BT, lengths_B), self._real(items_BT, lengths_B)
        for block in self.blocks[:-1]:
            x_BTD = block(x_BTD, real_BS=real_BT)
        return x_BTD


@models.register("bert4rec")
class Bert4Rec(Cloze):
    """The transformer in both directions, and a layer between its states and the query."""

    Config = Bert4RecConfig

    def __init__(self, config: Bert4RecConfig, item_count: int, max_length: int) -> None:
        super().__init__(config, item_count, max_length)
        dim = config.dim
        self.head = nn.Sequential(nn.Linear(dim, dim), nn.GELU(), nn.LayerNorm(dim, eps=1e-12))
        self.head.apply(self._initialise)

    def _query(self, x_BTD: Tensor) -> Tensor:
        return self.head(super()._query(x_BTD))
