"""MiaSRec: a session vector for each item, and a sparse choice among them (Choi et al., SIGIR 2024, arXiv 2405.00986).

Letters: B batch, T time, S = T + 1 slots (the session's mean, then its items), D model width, I session vectors that
are kept, V items.

    x_0 = mean of the items,  x_i = E_i;  y_i = LN(x_i + position_i + frequency_i)
    frequency_i: a vector for how often the item occurs in the session; positions count from the newest item, the mean has its own
    y = blocks of attention in both directions (SASRec's, without the mask)
    o_i = g_i x_i + (1 − g_i) y_i,  g_i = σ(W [x_i ‖ y_i])                    (highway)
    γ = entmax_α over i of w · [o_0 ‖ o_i]                                     (`fame.models.baselines.entmax`)
    score_v = (β max_{i: γ_i > 0} cos(o_i, x_v) + (1 − β) Σ_i γ_i cos(o_i, x_v)) / τ.

The maximum is no dot product: queries hold I directions and the mean, side by side (`fame.models.baselines.max_mean`).

What differs:

- The mean is weighed by γ. In the authors' code it is plain among those with γ > 0, and each o_i is scaled by γ_i before its length is
  taken away, so that nothing ever teaches w which to choose.
- Of the vectors with γ > 0 the I highest enter the maximum, and all of them the mean (there, all enter both). A maximum over
  T vectors costs T times what SASRec's scores cost; α decides how many there are.
- Blocks have feed-forward networks; the authors' code leaves them out. Their published settings name no α; 1.5 is the usual one.
- In the code, padding takes part in the maximum as a score of 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fame.config import Count, Range, Rate, Share, TrainConfig, require
from fame.datasets.batches import Batch
from fame.losses.objective import Objective, Softmax
from fame.losses.softmax import product_dtype
from fame.models.base import EXACT, PrefixModel
from fame.models.baselines.cosine import CosineConfig, CosineModel
from fame.models.baselines.entmax import entmax
from fame.models.baselines.max_mean import MOST, MaxMeanScorer, max_mean_cross_entropy
from fame.models.layers.blocks import TransformerBlock
from fame.models.layers.dropout import Dropout
from fame.models.scoring import Scorer
from fame.registry import models


@dataclass(frozen=True, kw_only=True)
class MiaSRecConfig(CosineConfig):
    """MiaSRec (SIGIR 2024): a vector for each item of the session, of which entmax chooses."""

    causal: ClassVar[bool] = False
    positions: ClassVar[str] = "none"
    activation: ClassVar[str] = "gelu"
    attention_residual: ClassVar[bool] = True
    """Three settings of the blocks. Positions are added to their input."""

    name: Literal["miasrec"] = "miasrec"
    blocks: Count = 2
    """Transformer blocks."""
    heads: Count = 2
    """Attention heads; divides D."""
    inner: Count = 4
    """Width of the feed-forward networks, in multiples of D."""
    attention_dropout: Rate = 0.1
    """Dropout of attention weights."""
    frequencies: Count = 2
    """Numbers of occurrences that are told apart; more count as this many."""
    alpha: Annotated[float, Range(low=1, high=2, open_low=True)] = 1.5
    """α of the entmax: the higher, the fewer session vectors; 2 is sparsemax."""
    beta: Share = 0.9
    """β, weight of the best session vector for an item; that of their mean is 1 − β."""
    vectors: Annotated[int, Range(low=1, high=MOST)] = 10
    """I, the most session vectors of which an item's best is taken."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.dim % self.heads == 0, "model.heads", self.heads, f"must divide model.dim = {self.dim}")

    def check_training(self, train: TrainConfig) -> None:
        rule = "scores that are the highest of several are learned by the plain train.loss = softmax"
        train.require_plain_softmax(rule)


@models.register("miasrec")
class MiaSRec(CosineModel, PrefixModel):
    """A transformer in both directions over the session's items and their mean."""

    Config = MiaSRecConfig
    fixed_length = True

    def __init__(self, config: MiaSRecConfig, item_count: int, max_length: int) -> None:
        super().__init__(config, item_count)
        D = config.dim
        self.positions = nn.Embedding(max_length + 1, D)
        self.frequencies = nn.Embedding(config.frequencies, D)
        for embedding in (self.positions, self.frequencies):
            nn.init.normal_(embedding.weight.detach(), std=0.02)
        self.dropout = Dropout(config.dropout)
        self.norm = nn.LayerNorm(D, eps=1e-12)
        self.blocks = nn.ModuleList(TransformerBlock(config, max_length + 1) for _ in range(config.blocks))
        self.gate = nn.Linear(2 * D, D)
        self.vote = nn.Linear(2 * D, 1)

    def encode(self, items_BT: Tensor, lengths_B: Tensor) -> Tensor:
        """β / τ times I directions, and (1 − β) / τ times the weighed mean of all, [B, (I + 1)·D]."""
        config = self.config
        o_BSD, real_BS = self._session_vectors(items_BT, lengths_B)
        votes_BS = self.vote(torch.cat([o_BSD[:, :1].expand_as(o_BSD), o_BSD], -1))[..., 0]
        weights_BS = entmax(votes_BS.masked_fill(~real_BS, float("-inf")), config.alpha)
        units_BSD = self.unit_queries(o_BSD)
        best_BID = units_BSD.gather(1, chosen(weights_BS, config.vectors)[..., None].expand(-1, -1, config.dim))
        mean_BD = (weights_BS[:, None] @ units_BSD)[:, 0]
        return torch.cat([config.beta * best_BID.flatten(1), (1 - config.beta) * mean_BD], 1)

    def _session_vectors(self, items_BT: Tensor, lengths_B: Tensor) -> tuple[Tensor, Tensor]:
        """o, [B, S, D], and which of them there are, [B, S]."""
        time = torch.arange(items_BT.shape[1], device=items_BT.device)
        real_BT = time < lengths_B[:, None]
        x_BTD = self.items(items_BT) * real_BT[..., None]
        mean_B1D = x_BTD.sum(1, keepdim=True) / lengths_B[:, None, None]
        x_BSD = self.dropout(torch.cat([mean_B1D, x_BTD], 1))
        same_BTT = (items_BT[:, :, None] == items_BT[:, None]) & real_BT[:, None]
        frequency_BT = same_BTT.sum(2).clamp(min=1, max=self.config.frequencies)
        age_BT = (lengths_B[:, None] - time).clamp(min=0)
        # The mean has position 0, which no item has, and no frequency.
        y_BSD = x_BSD + self.positions(F.pad(age_BT, (1, 0)))
        y_BSD = y_BSD + F.pad(self.frequencies(frequency_BT - 1), (0, 0, 1, 0))
        y_BSD, real_BS = self.dropout(self.norm(y_BSD)), F.pad(real_BT, (1, 0), value=True)
        for block in self.blocks:
            y_BSD = block(y_BSD, None, real_BS)
        gate_BSD = torch.sigmoid(self.gate(torch.cat([x_BSD, y_BSD], -1)))
        return gate_BSD * x_BSD + (1 - gate_BSD) * y_BSD, real_BS

    def scorer(self) -> Scorer:
        return MaxMeanScorer(self.item_table())

    def forward(self, batch: Batch, objective: Objective = EXACT) -> Tensor:
        assert isinstance(objective, Softmax)
        dtype = product_dtype(objective.precision, batch.items_BT.device)
        return max_mean_cross_entropy(self.queries(batch), self.item_table(), batch.targets_R - 1, dtype)


def chosen(weights_BS: Tensor, most: int) -> Tensor:
    """Slots of the `most` highest weights above 0, [B, most]; where there are fewer, the highest one again."""
    highest = weights_BS.topk(min(most, weights_BS.shape[1]))
    first_B1 = highest.indices[:, :1]
    slots = torch.where(highest.values > 0, highest.indices, first_B1)
    return torch.cat([slots, first_B1.expand(-1, most - slots.shape[1])], 1)
