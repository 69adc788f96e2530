"""The two kinds of transformer block: SASRec's, and FAME's last one with experts and facets.

Letters: B batch, T time (1 when only the last position is asked for), D model width, H heads =
facets, N experts per head, K = D/H.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from fame.attention import GroupedAttention, last_position


class FeedForward(nn.Sequential):
    """width → inner → width, with GELU and dropout."""

    def __init__(self, width: int, inner: int, dropout: float) -> None:
        super().__init__(nn.Linear(width, inner), nn.GELU(), nn.Linear(inner, width), nn.Dropout(dropout))


class Sublayer(nn.Module):
    """Where the layer norm sits: `post` is LN(x + f(x)), `pre` is x + f(LN(x))."""

    def __init__(self, dim: int, norm: str) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim, eps=1e-12)
        self.pre = norm == "pre"

    def before(self, x: Tensor) -> Tensor:
        return self.norm(x) if self.pre else x

    def after(self, x: Tensor) -> Tensor:
        return x if self.pre else self.norm(x)


class TransformerBlock(nn.Module):
    """SASRec's block: causal multi-head self-attention, then a feed-forward network."""

    def __init__(self, config, max_length: int) -> None:
        super().__init__()
        self.attention = GroupedAttention(
            dim=config.dim,
            heads=config.heads,
            queries=1,
            max_length=max_length,
            relative=config.positions == "relative",
            dropout=config.attention_dropout,
        )
        self.output = nn.Linear(config.dim, config.dim)
        self.dropout = nn.Dropout(config.dropout)
        self.attention_norm = Sublayer(config.dim, config.norm)
        self.feed_forward = FeedForward(config.dim, config.inner * config.dim, config.dropout)
        self.feed_forward_norm = Sublayer(config.dim, config.norm)

    def forward(self, x_BTD: Tensor, lengths_B: Tensor | None = None) -> Tensor:
        """[B, T, D], or [B, 1, D] for the last position of each row when `lengths_B` is given."""
        attended = self.attention(self.attention_norm.before(x_BTD), lengths_B).flatten(2)
        if lengths_B is not None:
            x_BTD = last_position(x_BTD, lengths_B)
        x_BTD = self.attention_norm.after(x_BTD + self.dropout(self.output(attended)))
        return self.feed_forward_norm.after(x_BTD + self.feed_forward(self.feed_forward_norm.before(x_BTD)))


class FacetBlock(nn.Module):
    """FAME's last block: each head is a facet that recommends for itself (Eq. 7–17).

    1. N experts attend per head (Eq. 12–15: `GroupedAttention`).
    2. A router mixes a head's experts (Eq. 16–17): β^h = softmax([F_1^h ‖ … ‖ F_N^h] W_exp^h + b_exp^h),
       F^h = Σ_n β_n^h F_n^h.
    3. One feed-forward network is shared by the heads (Eq. 7): F'^h = FFN'(F^h).
    4. A gate weighs the facets (Eq. 10): g = softmax([F'^1 ‖ … ‖ F'^H] W_g + b_g).

    The residual around 2 and 3, each with its layer norm over all heads together, is our reading where
    the paper is silent; `config.residual = False` is the equations as printed.
    """

    def __init__(self, config, max_length: int) -> None:
        super().__init__()
        H, N, K = config.heads, config.experts, config.dim // config.heads
        self.attention = GroupedAttention(
            dim=config.dim,
            heads=H,
            queries=N,
            max_length=max_length,
            relative=config.positions == "relative",
            dropout=config.attention_dropout,
        )
        self.router_weight = nn.Parameter(torch.zeros(H, N * K, N))
        self.router_bias = nn.Parameter(torch.zeros(H, N))
        self.dropout = nn.Dropout(config.dropout)
        self.feed_forward = FeedForward(K, config.inner * K, config.dropout)
        self.gate = nn.Linear(config.dim, H)
        self.residual = config.residual
        if self.residual:
            self.attention_norm = Sublayer(config.dim, config.norm)
            self.feed_forward_norm = Sublayer(config.dim, config.norm)

    def forward(self, x_BTD: Tensor, lengths_B: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Facets F' [B, T, H, K] and their weights g [B, T, H]; T = 1 when `lengths_B` is given."""
        if not self.residual:
            facets = self.feed_forward(self._mix(self.attention(x_BTD, lengths_B)))
            return facets, self._weights(facets)
        mixed = self._mix(self.attention(self.attention_norm.before(x_BTD), lengths_B))
        if lengths_B is not None:
            x_BTD = last_position(x_BTD, lengths_B)
        x_BTD = self.attention_norm.after(x_BTD + self.dropout(mixed.flatten(2)))
        inner = self.feed_forward(self.feed_forward_norm.before(x_BTD).view_as(mixed))
        facets = self.feed_forward_norm.after(x_BTD + inner.flatten(2)).view_as(mixed)
        return facets, self._weights(facets)

    def _mix(self, experts_BTHNK: Tensor) -> Tensor:
        """Eq. 16–17: [B, T, H, K]."""
        logits = torch.einsum("bthe,hen->bthn", experts_BTHNK.flatten(3), self.router_weight) + self.router_bias
        return torch.einsum("bthn,bthnk->bthk", logits.softmax(-1), experts_BTHNK)

    def _weights(self, facets_BTHK: Tensor) -> Tensor:
        """Eq. 10: [B, T, H]."""
        return self.gate(facets_BTHK.flatten(2)).softmax(-1)
