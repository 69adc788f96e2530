"""The two kinds of transformer block: SASRec's, and FAME's last one with experts and facets.

Letters: B batch, T time (1 when only the last position is asked for), S time of what is attended to,
D model width, H heads = facets, N experts per head, K = D/H.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import torch
from torch import Tensor, nn

from fame.models.layers.attention import GroupedAttention, last_position
from fame.models.layers.dropout import Dropout


class FeedForward(nn.Sequential):
    """Eq. 5 and 7: width → inner → width with an activation between, then dropout."""

    def __init__(self, width: int, config: Any) -> None:
        inner = config.inner * width
        activation = {"gelu": nn.GELU, "relu": nn.ReLU}[config.activation]
        super().__init__(nn.Linear(width, inner), activation(), nn.Linear(inner, width), Dropout(config.dropout))


class AttentionSublayer(nn.Module, ABC):
    """The first half of a block, where positions meet: attention, and the residual sum and norm around it.

    The paper prints no residual around attention; `config.attention_residual` decides.
    """

    def __init__(self, config: Any, max_length: int, *, queries: int = 1, shared_mask: bool = False) -> None:
        super().__init__()
        self.attention = GroupedAttention(
            dim=config.dim,
            heads=config.heads,
            queries=queries,
            max_length=max_length,
            relative=config.positions == "relative",
            dropout=config.attention_dropout,
            causal=config.causal,
            shared_mask=shared_mask,
        )
        self.dropout = Dropout(config.dropout)
        self.attention_norm = nn.LayerNorm(config.dim, eps=1e-12) if config.attention_residual else None

    def mix(self, x_BTD: Tensor, lengths_B: Tensor | None, real_BS: Tensor | None) -> Tensor:
        """[B, T, D], or [B, 1, D] for the last position of each row when `lengths_B` is given."""
        mixed = self.dropout(self._attend(x_BTD, lengths_B, real_BS))
        if self.attention_norm is None:
            return mixed
        ends = x_BTD if lengths_B is None else last_position(x_BTD, lengths_B)
        return self.attention_norm(ends + mixed)

    @abstractmethod
    def _attend(self, x_BSD: Tensor, lengths_B: Tensor | None, real_BS: Tensor | None) -> Tensor:
        """Return what positions, or the last one of each row, read from the others, in the shape of `mix`."""


class TransformerBlock(AttentionSublayer):
    """SASRec's block: multi-head self-attention, causal if the configuration is, then F = LN(f + FFN(f)) (Eq. 5)."""

    def __init__(self, config: Any, max_length: int) -> None:
        super().__init__(config, max_length)
        self.output = nn.Linear(config.dim, config.dim)
        self.feed_forward = FeedForward(config.dim, config)
        self.feed_forward_norm = nn.LayerNorm(config.dim, eps=1e-12)

    def forward(self, x_BTD: Tensor, lengths_B: Tensor | None = None, real_BS: Tensor | None = None) -> Tensor:
        """[B, T, D], or [B, 1, D] for the last position of each row when `lengths_B` is given.

        real_BS: of a block that is not causal, as in `GroupedAttention`.
        """
        x_BTD = self.mix(x_BTD, lengths_B, real_BS)
        return self.feed_forward_norm(x_BTD + self.feed_forward(x_BTD))

    def _attend(self, x_BSD: Tensor, lengths_B: Tensor | None, real_BS: Tensor | None) -> Tensor:
        return self.output(self.attention(x_BSD, lengths_B, real_BS).flatten(2))


class FacetBlock(AttentionSublayer):
    """FAME's last block: each head is a facet that recommends for itself (Eq. 7–17).

    1. N experts attend per head (Eq. 12–15: `GroupedAttention`).
    2. A router mixes a head's experts (Eq. 16–17): β^h = softmax([F_1^h ‖ … ‖ F_N^h] W_exp^h + b_exp^h),
       f^h = Σ_n β_n^h F_n^h; with `config.attention_residual` a residual and a layer norm over all heads follow.
    3. One feed-forward network is shared by the heads (Eq. 7): F^h = LN(f^h + FFN'(f^h)). The norm is over the K
       numbers of a head, as printed (`config.facet_norm = facet`), or over all heads together (`joint`).
    4. A gate weighs the facets (Eq. 10): g = softmax([F^1 ‖ … ‖ F^H] W_g + b_g).
    """

    def __init__(self, config: Any, max_length: int) -> None:
        shared = config.expert_masks == "shared"
        super().__init__(config, max_length, queries=config.experts, shared_mask=shared)
        H, N, K = config.heads, config.experts, config.dim // config.heads
        self.router_weight = nn.Parameter(torch.zeros(H, N * K, N))
        self.router_bias = nn.Parameter(torch.zeros(H, N))
        self.feed_forward = FeedForward(K, config)
        self.norm_each = config.facet_norm == "facet"
        self.feed_forward_norm = nn.LayerNorm(K if self.norm_each else config.dim, eps=1e-12)
        self.gate = nn.Linear(config.dim, H)

    def forward(
        self, x_BTD: Tensor, lengths_B: Tensor | None = None, real_BS: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Facets F [B, T, H, K] and their weights g [B, T, H]; T = 1 when `lengths_B` is given.

        real_BS: of a block that is not causal, as in `GroupedAttention`.
        """
        facets_BTHK = self._per_head(self.mix(x_BTD, lengths_B, real_BS))
        facets_BTHK = facets_BTHK + self.feed_forward(facets_BTHK)
        if self.norm_each:
            facets_BTHK = self.feed_forward_norm(facets_BTHK)
        else:
            facets_BTHK = self._per_head(self.feed_forward_norm(facets_BTHK.flatten(2)))
        return facets_BTHK, self._weights(facets_BTHK)

    def _attend(self, x_BSD: Tensor, lengths_B: Tensor | None, real_BS: Tensor | None) -> Tensor:
        """Eq. 12–17: f^h of every query, the heads side by side, [B, T, D]."""
        if self.attention.fuses(x_BSD):
            mixed_BTHK = self._mix_experts(self.attention(x_BSD, lengths_B, real_BS))
        else:
            mixed_BTHK = self._mix_weights(*self.attention.weights(x_BSD, lengths_B, real_BS))
        return mixed_BTHK.flatten(2)

    def _per_head(self, x_BTD: Tensor) -> Tensor:
        return x_BTD.unflatten(2, (self.attention.heads, -1))

    def _mix_experts(self, experts_BTHNK: Tensor) -> Tensor:
        """Eq. 16–17 as printed."""
        logits = torch.einsum("bthe,hen->bthn", experts_BTHNK.flatten(3), self.router_weight) + self.router_bias
        return torch.einsum("bthn,bthnk->bthk", logits.softmax(-1), experts_BTHNK)

    def _mix_weights(self, weights_HBTNS: Tensor, v_HBSK: Tensor) -> Tensor:
        """Eq. 16–17 without the experts' outputs: with W_exp^h cut into W_n for each expert,

        Σ_n F_n W_n = Σ_n A_n (V W_n)  and  Σ_n β_n F_n = (Σ_n β_n A_n) V,

        so that one mixture meets V instead of N experts, and the router reads N numbers of an item
        instead of K.
        """
        H, B, T, _, S = weights_HBTNS.shape
        shares_HBTN = self._shares(weights_HBTNS, v_HBSK)
        mixture = (shares_HBTN[..., None] * weights_HBTNS).sum(3).view(H * B, T, S)
        return torch.bmm(mixture, v_HBSK.view(H * B, S, -1)).view(H, B, T, -1).permute(1, 2, 0, 3)

    def _shares(self, weights_HBTNS: Tensor, v_HBSK: Tensor) -> Tensor:
        """β of Eq. 16, [H, B, T, N]."""
        H, B, T, N, S = weights_HBTNS.shape
        K = v_HBSK.shape[-1]
        router_HKNM = self.router_weight.view(H, N, K, N).transpose(1, 2)  # M is N, the expert that is weighed
        votes = torch.bmm(v_HBSK.view(H, B * S, K), router_HKNM.reshape(H, K, N * N))
        votes = votes.view(H, B, S, N, N).transpose(2, 3).reshape(H * B, N * S, N)
        logits = torch.bmm(weights_HBTNS.view(H * B, T, N * S), votes).view(H, B * T, N) + self.router_bias[:, None]
        return logits.softmax(-1).view(H, B, T, N)

    def experts(self, x_BSD: Tensor, lengths_B: Tensor) -> tuple[Tensor, Tensor]:
        """Return each expert's attention from the last real position, A_n^h [B, H, N, S], and the router's β [B, H, N]."""
        weights_HBTNS, v_HBSK = self.attention.weights(x_BSD, lengths_B)
        shares_HBTN = self._shares(weights_HBTNS, v_HBSK)
        return weights_HBTNS[:, :, 0].transpose(0, 1), shares_HBTN[:, :, 0].transpose(0, 1)

    def _weights(self, facets_BTHK: Tensor) -> Tensor:
        """Eq. 10: [B, T, H]."""
        return self.gate(facets_BTHK.flatten(2)).softmax(-1)
