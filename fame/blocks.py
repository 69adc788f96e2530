"""The two kinds of transformer block: SASRec's, and FAME's last one with experts and facets.

Letters: B batch, T time (1 when only the last position is asked for), S time of what is attended to,
D model width, H heads = facets, N experts per head, K = D/H.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from fame.attention import GroupedAttention, fuses, last_position
from fame.dropout import Dropout


class FeedForward(nn.Sequential):
    """width → inner → width, with GELU and dropout."""

    def __init__(self, width: int, inner: int, dropout: float) -> None:
        super().__init__(nn.Linear(width, inner), nn.GELU(), nn.Linear(inner, width), Dropout(dropout))


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
    """SASRec's block: multi-head self-attention, causal if the configuration is, then a feed-forward network."""

    def __init__(self, config, max_length: int) -> None:
        super().__init__()
        self.attention = GroupedAttention(
            dim=config.dim,
            heads=config.heads,
            queries=1,
            max_length=max_length,
            relative=config.positions == "relative",
            dropout=config.attention_dropout,
            causal=config.causal,
        )
        self.output = nn.Linear(config.dim, config.dim)
        self.dropout = Dropout(config.dropout)
        self.attention_norm = Sublayer(config.dim, config.norm)
        self.feed_forward = FeedForward(config.dim, config.inner * config.dim, config.dropout)
        self.feed_forward_norm = Sublayer(config.dim, config.norm)

    def forward(self, x_BTD: Tensor, lengths_B: Tensor | None = None, real_BS: Tensor | None = None) -> Tensor:
        """[B, T, D], or [B, 1, D] for the last position of each row when `lengths_B` is given.

        real_BS: of a block that is not causal, as in `GroupedAttention`.
        """
        x_BTD = self.mix(x_BTD, lengths_B, real_BS)
        return self.feed_forward_norm.after(x_BTD + self.feed_forward(self.feed_forward_norm.before(x_BTD)))

    def mix(self, x_BTD: Tensor, lengths_B: Tensor | None, real_BS: Tensor | None) -> Tensor:
        """The first sublayer, where positions meet: attention and its residual."""
        attended = self.attention(self.attention_norm.before(x_BTD), lengths_B, real_BS).flatten(2)
        if lengths_B is not None:
            x_BTD = last_position(x_BTD, lengths_B)
        return self.attention_norm.after(x_BTD + self.dropout(self.output(attended)))


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
            causal=config.causal,
        )
        self.router_weight = nn.Parameter(torch.zeros(H, N * K, N))
        self.router_bias = nn.Parameter(torch.zeros(H, N))
        self.dropout = Dropout(config.dropout)
        self.feed_forward = FeedForward(K, config.inner * K, config.dropout)
        self.gate = nn.Linear(config.dim, H)
        self.residual = config.residual
        if self.residual:
            self.attention_norm = Sublayer(config.dim, config.norm)
            self.feed_forward_norm = Sublayer(config.dim, config.norm)

    def forward(
        self, x_BTD: Tensor, lengths_B: Tensor | None = None, real_BS: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Facets F' [B, T, H, K] and their weights g [B, T, H]; T = 1 when `lengths_B` is given.

        real_BS: of a block that is not causal, as in `GroupedAttention`.
        """
        if not self.residual:
            facets = self.feed_forward(self._mixed(x_BTD, lengths_B, real_BS))
            return facets, self._weights(facets)
        x_BTD = self.mix(x_BTD, lengths_B, real_BS)
        inner = self.feed_forward(self._per_head(self.feed_forward_norm.before(x_BTD)))
        facets = self._per_head(self.feed_forward_norm.after(x_BTD + inner.flatten(2)))
        return facets, self._weights(facets)

    def mix(self, x_BTD: Tensor, lengths_B: Tensor | None, real_BS: Tensor | None) -> Tensor:
        """The first sublayer, where positions meet: the heads' mixtures of experts side by side, and their residual."""
        mixed = self._mixed(self.attention_norm.before(x_BTD), lengths_B, real_BS).flatten(2)
        if lengths_B is not None:
            x_BTD = last_position(x_BTD, lengths_B)
        return self.attention_norm.after(x_BTD + self.dropout(mixed))

    def _per_head(self, x_BTD: Tensor) -> Tensor:
        return x_BTD.unflatten(2, (self.attention.heads, -1))

    def _mixed(self, x_BSD: Tensor, lengths_B: Tensor | None, real_BS: Tensor | None) -> Tensor:
        """Eq. 12–17: F^h of every query, [B, T, H, K]."""
        if fuses(x_BSD):
            return self._mix_experts(self.attention(x_BSD, lengths_B, real_BS))
        return self._mix_weights(*self.attention.weights(x_BSD, lengths_B, real_BS))

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
        """What each expert attends to from the last real position, A_n^h [B, H, N, S], and the router's β [B, H, N]."""
        if self.residual:
            x_BSD = self.attention_norm.before(x_BSD)
        weights_HBTNS, v_HBSK = self.attention.weights(x_BSD, lengths_B)
        shares_HBTN = self._shares(weights_HBTNS, v_HBSK)
        return weights_HBTNS[:, :, 0].transpose(0, 1), shares_HBTN[:, :, 0].transpose(0, 1)

    def _weights(self, facets_BTHK: Tensor) -> Tensor:
        """Eq. 10: [B, T, H]."""
        return self.gate(facets_BTHK.flatten(2)).softmax(-1)
