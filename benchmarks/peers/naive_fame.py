"""FAME the way its equations read, as a speed peer: what the identities of `fame` save.

It loops over heads and experts, with a [T, T] attention for each. Every history is padded to the full length. Each head
has a matrix of scores over all items, and the cross entropy counts the padded positions, too. Dropout, layer norms and
residuals are where `fame.models.layers.blocks` has them by default.

Letters: B batch, T time, D width, K width of a head, V items.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class FeedForward(nn.Sequential):
    def __init__(self, width: int, inner: int, dropout: float) -> None:
        super().__init__(nn.Linear(width, inner), nn.GELU(), nn.Linear(inner, width), nn.Dropout(dropout))


class Head(nn.Module):
    """Keys and values shared by N experts, and the router that mixes them."""

    def __init__(self, dim: int, width: int, experts: int, dropout: float) -> None:
        super().__init__()
        self.queries = nn.ModuleList(nn.Linear(dim, width) for _ in range(experts))
        self.key, self.value = nn.Linear(dim, width), nn.Linear(dim, width)
        self.router = nn.Linear(experts * width, experts)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x_BTD: Tensor) -> Tensor:
        k_BTK, v_BTK = self.key(x_BTD), self.value(x_BTD)
        T = x_BTD.shape[1]
        future_TT = torch.ones(T, T, dtype=torch.bool).triu(1)
        experts = []
        for query in self.queries:
            scores_BTT = query(x_BTD) @ k_BTK.transpose(1, 2) / k_BTK.shape[-1] ** 0.5
            experts.append(self.dropout(scores_BTT.masked_fill(future_TT, float("-inf")).softmax(-1)) @ v_BTK)
        shares_BTN = self.router(torch.cat(experts, -1)).softmax(-1)
        return sum(shares_BTN[..., n, None] * expert for n, expert in enumerate(experts))


class Block(nn.Module):
    """Heads, then a feed-forward network, each with residual and layer norm."""

    def __init__(self, dim: int, heads: int, experts: int, inner_dim: int, dropout: float) -> None:
        super().__init__()
        self.heads = nn.ModuleList(Head(dim, dim // heads, experts, dropout) for _ in range(heads))
        self.feed_forward = FeedForward(inner_dim, 4 * inner_dim, dropout)
        self.norms = nn.ModuleList(nn.LayerNorm(dim) for _ in range(2))
        self.dropout = nn.Dropout(dropout)
        self.inner_dim = inner_dim

    def forward(self, x_BTD: Tensor) -> Tensor:
        heads = torch.cat([head(x_BTD) for head in self.heads], -1)
        x_BTD = self.norms[0](x_BTD + self.dropout(heads))
        parts = [self.feed_forward(part) for part in x_BTD.split(self.inner_dim, -1)]
        return self.norms[1](x_BTD + torch.cat(parts, -1))


class NaiveFame(nn.Module):
    """One plain block and FAME's; `forward` gives the loss, the sum over real positions."""

    def __init__(self, items: int, length: int, dim: int = 64, heads: int = 2, experts: int = 4, dropout: float = 0.5):
        super().__init__()
        self.items = nn.Embedding(items + 1, dim, padding_idx=0)
        self.positions = nn.Embedding(length, dim)
        self.norm, self.dropout = nn.LayerNorm(dim), nn.Dropout(dropout)
        self.blocks = nn.ModuleList(
            [Block(dim, heads, 1, dim, dropout), Block(dim, heads, experts, dim // heads, dropout)]
        )
        self.facets = nn.ModuleList(nn.Linear(dim, dim // heads, bias=False) for _ in range(heads))
        self.gate = nn.Linear(dim, heads)

    def forward(self, items_BT: Tensor, targets_BT: Tensor) -> Tensor:
        """Both padded with 0 to the full length; a target of 0 does not count."""
        x_BTD = self.dropout(self.norm(self.items(items_BT) + self.positions.weight))
        for block in self.blocks:
            x_BTD = block(x_BTD)
        shares_BTH = self.gate(x_BTD).softmax(-1)
        scores_BTV = torch.zeros(())
        for h, (part_BTK, facet) in enumerate(
            zip(x_BTD.split(self.facets[0].out_features, -1), self.facets, strict=True)
        ):
            head_BTV = part_BTK @ facet(self.items.weight[1:]).T
            scores_BTV = scores_BTV + shares_BTH[..., h, None] * head_BTV
        return F.cross_entropy(scores_BTV.flatten(0, 1), targets_BT.flatten() - 1, ignore_index=-1, reduction="sum")
