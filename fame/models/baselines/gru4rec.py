"""GRU4Rec (Hidasi et al., ICLR 2016; with the losses of Hidasi & Karatzoglou, CIKM 2018).

Letters: B batch, T time, D width of items, S width of the state, V items.

A gated recurrent unit reads the items, and its state is projected into their space:

    h_t = GRU(x_t, h_{t−1}),   q_t = W h_t + b,   score_v = q_t · x_v.

The paper's first losses are superseded by its second paper's: BPR-max and TOP1-max of the target against
sampled items (`train.loss: bpr_max` or `top1_max`; the equations are in `fame.losses.sampled`). Cross entropy over the
whole catalogue (`softmax`, the default) is what they approximate, and does as well or better where it is affordable.

What differs from the paper's own code, and why:
- Items have one embedding, in and out ("constrained embedding" there), and no bias: a score is a dot product here.
- A linear layer between state and items lets the state be wider than the items are (RecBole does the same).
- Sequences are whole rows of a batch. Session-parallel batches carry a state from step to step. They save memory by an
  approximation, which sequences of some dozens of items do not need.
- Negatives are drawn for all rows of a step; targets of other rows are not used as well (`train.negatives_power`).
- Adam in place of Adagrad, as for every model here. Items start wider than there or in RecBole: with 0.02 the state
  hardly differs between histories, and the first hundreds of steps learn popularity alone (docs/LOG.md).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from torch import Tensor, nn

from fame.config import Count, ModelConfig, Positive, Rate
from fame.models.base import SequentialModel
from fame.models.layers.dropout import Dropout
from fame.registry import models


@dataclass(frozen=True, kw_only=True)
class GRU4RecConfig(ModelConfig):
    """GRU4Rec (Hidasi et al., 2016): a recurrent network over item embeddings."""

    name: Literal["gru4rec"] = "gru4rec"
    dim: Count = 64
    """D, width of items and queries."""
    width: Count = 128
    """S, width of the recurrent state."""
    layers: Count = 1
    """Recurrent layers."""
    dropout: Rate = 0.3
    """Dropout of item embeddings."""
    hidden_dropout: Rate = 0.0
    """Dropout of the output of each recurrent layer."""
    init_std: Positive = 0.3
    """Standard deviation of initial item embeddings, which no layer norm follows."""


@models.register("gru4rec")
class GRU4Rec(SequentialModel):
    """Item embeddings, recurrent layers, and a projection of their state to the query."""

    Config = GRU4RecConfig
    fixed_length = True

    def __init__(self, config: GRU4RecConfig, item_count: int, max_length: int) -> None:
        super().__init__()
        self.items = nn.Embedding(item_count + 1, config.dim, padding_idx=0)
        nn.init.normal_(self.items.weight[1:].detach(), std=config.init_std)
        self.dropout = Dropout(config.dropout)
        widths = [config.dim] + [config.width] * (config.layers - 1)
        self.layers = nn.ModuleList(nn.GRU(width, config.width, batch_first=True) for width in widths)
        self.hidden_dropout = Dropout(config.hidden_dropout)
        self.output = nn.Linear(config.width, config.dim)

    def hidden(self, items_BT: Tensor, lengths_B: Tensor) -> Tensor:
        state_BTS = self.dropout(self.items(items_BT))
        for layer in self.layers:
            # What follows a row's last item is padding, which no earlier state has read.
            state_BTS = self.hidden_dropout(layer(state_BTS)[0])
        return self.output(state_BTS)

    def item_table(self) -> Tensor:
        return self.items.weight[1:]

    def item_embedding(self) -> nn.Embedding:
        return self.items
