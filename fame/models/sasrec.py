"""SASRec (Kang & McAuley, ICDM 2018): a causal transformer over item embeddings.

Letters: B batch, T time, D model width, H heads, V items.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from torch import Tensor, nn

from fame.config import Count, ModelConfig, Positive, Rate, TrainConfig, require
from fame.models.base import SequentialModel
from fame.models.layers.attention import GroupedAttention
from fame.models.layers.blocks import TransformerBlock
from fame.models.layers.dropout import Dropout
from fame.models.layers.labels import LabelEmbedding
from fame.registry import models


@dataclass(frozen=True, kw_only=True)
class SASRecConfig(ModelConfig):
    """SASRec (Kang & McAuley, 2018): a causal transformer over item embeddings."""

    causal: ClassVar[bool] = True
    """Whether a position sees itself and earlier ones alone."""

    name: Literal["sasrec"] = "sasrec"
    dim: Count = 64
    """D, width of items and hidden states."""
    blocks: Count = 2
    """Transformer blocks."""
    heads: Count = 2
    """H, attention heads; divides D."""
    inner: Count = 4
    """Width of the feed-forward networks, in multiples of their input's width."""
    dropout: Rate = 0.5
    """Dropout of embeddings, attention outputs and feed-forward outputs."""
    attention_dropout: Rate = 0.5
    """Dropout of attention weights."""
    positions: Literal["relative", "absolute", "absolute_right", "none"] = "relative"
    """Learned bias per head and distance; learned vector counted from the left; from the right."""
    activation: Literal["gelu", "relu"] = "gelu"
    """Activation of the feed-forward networks; the paper's Eq. 5 and 7 have ReLU."""
    attention_residual: bool = True
    """Residual sum and layer norm around attention; the paper prints none."""
    init: Literal["normal", "xavier"] = "normal"
    """Start of linear layers: deviation `init_std`, or Xavier's √(2 / (inputs + outputs))."""
    labels: bool = False
    """Items have vectors of their own plus one for each of their labels, such as brand and category."""
    init_std: Positive = 0.02
    """Standard deviation of initial embeddings, and of other weights where `init` is `normal`."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.dim % self.heads:
            divisors = [str(h) for h in range(1, self.dim + 1) if self.dim % h == 0]
            rule = f"must divide model.dim = {self.dim}; use one of {', '.join(divisors)}"
            require(False, "model.heads", self.heads, rule)

    def item_blocks(self) -> tuple[int, int] | None:
        return self.heads, self.dim

    def reads_labels(self) -> bool:
        return self.labels

    def check_training(self, train: TrainConfig) -> None:
        # Elsewhere a position's code would say how many items follow it, which nothing knows when it serves.
        require(
            self.positions != "absolute_right" or train.one_target,
            "model.positions",
            self.positions,
            "counts from the newest item, so it needs train.mode = prefix and train.targets = 1",
        )


@models.register("sasrec")
class SASRec(SequentialModel):
    """Item embeddings, `blocks` transformer blocks; the last hidden state is the query."""

    Config: type[SASRecConfig] = SASRecConfig
    Block: type[nn.Module] = TransformerBlock

    def __init__(self, config: SASRecConfig, item_count: int, max_length: int) -> None:
        super().__init__()
        self.config, self.item_count, self.max_length = config, item_count, max_length
        self.items = nn.Embedding(item_count + 1, config.dim, padding_idx=0)
        self.labels = LabelEmbedding(item_count, config.dim) if config.labels else None
        absolute = config.positions in ("absolute", "absolute_right")
        self.positions = nn.Embedding(max_length, config.dim) if absolute else None
        self.embedding_norm = nn.LayerNorm(config.dim, eps=1e-12)
        self.dropout = Dropout(config.dropout)
        self.blocks = nn.ModuleList(self._blocks())
        self.apply(self._initialise)

    def _blocks(self) -> list[nn.Module]:
        return [self.Block(self.config, self.max_length) for _ in range(self.config.blocks)]

    def _initialise(self, module: nn.Module) -> None:
        if isinstance(module, nn.Linear | nn.Embedding):
            nn.init.normal_(module.weight, std=self.config.init_std)
        if isinstance(module, nn.Linear):
            nn.init.zeros_(module.bias)
            if self.config.init == "xavier":
                nn.init.xavier_normal_(module.weight)
        if isinstance(module, GroupedAttention) and self.config.init == "xavier":
            for weight in (module.query.weight, module.key_value.weight):  # projections of D × D on top of each other
                nn.init.normal_(weight, std=self.config.dim**-0.5)
        if isinstance(module, nn.Embedding) and module.padding_idx is not None:
            nn.init.zeros_(module.weight[module.padding_idx].detach())

    def item_table(self) -> Tensor:
        own_VD = self.items.weight[1:]
        return own_VD if self.labels is None else own_VD + self.labels.table()

    def item_embedding(self) -> nn.Embedding | None:
        return self.items if self.labels is None else None

    def item_rows(self, items: Tensor) -> Tensor:
        return self.items(items) if self.labels is None else self.items(items) + self.labels(items)

    def text_embedding(self) -> nn.Embedding:
        return self.items

    @torch.no_grad()
    def add_items(self, table_ND: Tensor) -> None:
        rows_VD = torch.cat([self.items.weight, table_ND.to(self.items.weight)])
        self.items = nn.Embedding.from_pretrained(rows_VD, freeze=False, padding_idx=0)
        if self.labels is not None:
            self.labels.add_items(len(table_ND))
        self.item_count += len(table_ND)

    def start_from_labels(self, labels_VM: np.ndarray) -> None:
        assert self.labels is not None, "model.labels is off"
        self.labels.start(labels_VM, self.config.init_std)

    def hidden(self, items_BT: Tensor, lengths_B: Tensor) -> Tensor:
        return self._query(self.blocks[-1](self._before_last_block(items_BT, lengths_B)))

    def encode(self, items_BT: Tensor, lengths_B: Tensor) -> Tensor:
        return self._query(self.blocks[-1](self._before_last_block(items_BT, lengths_B), lengths_B))[:, 0]

    def _vectors(self, items_BT: Tensor) -> Tensor:
        """Vectors of item numbers, [B, T, D]."""
        return self.item_rows(items_BT)

    def _embed(self, items_BT: Tensor, lengths_B: Tensor) -> Tensor:
        """Return the input of the first block, [B, T, D]."""
        x_BTD = self._vectors(items_BT)
        if self.positions is not None:
            position = torch.arange(items_BT.shape[1], device=items_BT.device)
            if self.config.positions == "absolute_right":
                # Distance to the newest item; padded positions, which nothing reads, would be negative.
                position = (lengths_B[:, None] - 1 - position).clamp(min=0)
            x_BTD = x_BTD + self.positions(position)
        return self.dropout(self.embedding_norm(x_BTD))

    def _before_last_block(self, items_BT: Tensor, lengths_B: Tensor) -> Tensor:
        x_BTD = self._embed(items_BT, lengths_B)
        for block in self.blocks[:-1]:
            x_BTD = block(x_BTD)
        return x_BTD

    def _query(self, last: Any) -> Tensor:
        """The query of every position from what the last block gives."""
        return last
