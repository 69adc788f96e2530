"""Grouped-query attention: one module for SASRec's heads and for FAME's experts.

Letters: B batch, T time of the queries, S time of the keys, D model width, H heads = facets, N experts
(queries) per head, K = D/H.

FAME's Eq. 12–15: head h has one key and one value projection and N query projections (its experts),

    Q_n^h = X W_{Q,n}^h,  K^h = X W_K^h,  V^h = X W_V^h,  F_n^h = A_n^h V^h,  A_n^h = softmax(Q_n^h K^hᵀ / √K),

which is grouped-query attention with H·N query heads over H key/value heads. N = 1 is SASRec's
multi-head attention (without its output projection).

Two paths compute the same (`fuses` chooses, `docs/LOG.md` has the measurements). On a GPU it is
`scaled_dot_product_attention`, whose kernel torch chooses. On CPU, where no fused kernel takes a learned bias
and sequences are short, A is made explicitly, N queries to a product (`weights`), and what follows may use
it: `FacetBlock` mixes the experts' A before any of them meets V.

Sequences are padded on the right, so a causal mask is all the masking there is: no real position
can see a padded one. Attention in both directions has to be told which positions are real.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fame.models.layers.dropout import Dropout


def fuses(x: Tensor) -> bool:
    """Whether attention over `x` is left to `scaled_dot_product_attention`."""
    return x.is_cuda


class GroupedAttention(nn.Module):
    """N query heads per key/value head, with an optional learned bias per distance.

    The relative bias adds b_{h,n}[i − j] to the score of query i and key j, one learned value for each
    query head and distance 0..T_max−1 or, in both directions (`causal` False), −T_max+1..T_max−1.

    shared_mask: the experts of a head share one dropout mask of their attention weights.

    With `lengths_B` only the last real position of each row is a query (identity 3: scoring needs no
    other), and T = 1; without, all are, and T = S. In both directions they then need `real_BS`, a mask of
    the positions that are no padding, at least one of each row.
    """

    def __init__(
        self,
        *,
        dim: int,
        heads: int,
        queries: int,
        max_length: int,
        relative: bool,
        dropout: float,
        causal: bool = True,
        shared_mask: bool = False,
    ) -> None:
        super().__init__()
        self.heads, self.queries, self.head_dim = heads, queries, dim // heads
        self.query = nn.Linear(dim, queries * dim)
        self.key_value = nn.Linear(dim, 2 * dim)
        self.causal, self.nearest = causal, 0 if causal else max_length - 1
        self.bias = nn.Parameter(torch.zeros(heads * queries, max_length + self.nearest)) if relative else None
        self.dropout = Dropout(dropout)
        self.shared_mask = shared_mask

    def fuses(self, x: Tensor) -> bool:
        """Whether attention over `x` is left to the fused kernel, which draws a mask for each expert."""
        return fuses(x) and not (self.shared_mask and self.training)

    def forward(self, x_BSD: Tensor, lengths_B: Tensor | None = None, real_BS: Tensor | None = None) -> Tensor:
        """F_n^h of every query, [B, T, H, N, K]."""
        if self.fuses(x_BSD):
            return self._fused(x_BSD, lengths_B, real_BS)
        weights_HBTNS, v_HBSK = self.weights(x_BSD, lengths_B, real_BS)
        H, B, T, N, S = weights_HBTNS.shape
        attended = torch.bmm(weights_HBTNS.view(H * B, T * N, S), v_HBSK.flatten(0, 1))
        return attended.view(H, B, T, N, -1).permute(1, 2, 0, 3, 4)

    def weights(
        self, x_BSD: Tensor, lengths_B: Tensor | None = None, real_BS: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """A_n^h [H, B, T, N, S] (after dropout) and V^h [H, B, S, K]."""
        B, S, _ = x_BSD.shape
        H, N, K = self.heads, self.queries, self.head_dim
        q_HBTNK = self._queries(x_BSD, lengths_B).permute(2, 0, 1, 3, 4)
        k_HBSK, v_HBSK = self.key_value(x_BSD).view(B, S, 2, H, K).permute(2, 3, 0, 1, 4).contiguous()
        keys = (k_HBSK * K**-0.5).flatten(0, 1).transpose(1, 2)
        scores = torch.bmm(q_HBTNK.reshape(H * B, -1, K), keys).view(H, B, -1, N, S)
        # [B or 1, H·N or 1, T, S] → [H or 1, B or 1, T, N or 1, S]
        bias = self._score_bias(S, lengths_B, real_BS)
        bias = bias.unflatten(1, (H, N) if self.bias is not None else (1, 1)).permute(1, 0, 3, 2, 4)
        return self._drop((scores + bias).softmax(-1)), v_HBSK

    def _drop(self, weights_HBTNS: Tensor) -> Tensor:
        """Dropout of attention weights: a mask for each expert, or one that the experts of a head share.

        Mixing N experts with masks of their own divides the noise of the dropout by about N.
        """
        if not (self.shared_mask and self.training):
            return self.dropout(weights_HBTNS)
        return weights_HBTNS * self.dropout(torch.ones_like(weights_HBTNS[:, :, :, :1]))

    def _fused(self, x_BSD: Tensor, lengths_B: Tensor | None, real_BS: Tensor | None) -> Tensor:
        B, S, _ = x_BSD.shape
        H, N, K = self.heads, self.queries, self.head_dim
        q = self._queries(x_BSD, lengths_B).flatten(2, 3).transpose(1, 2)
        k, v = self.key_value(x_BSD).view(B, S, 2, H, K).permute(2, 0, 3, 1, 4)
        mask = self._score_bias(S, lengths_B, real_BS)
        dropout = self.dropout.p if self.training else 0.0
        attended = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, dropout_p=dropout, enable_gqa=N > 1)
        return attended.transpose(1, 2).reshape(B, -1, H, N, K)

    def _queries(self, x_BSD: Tensor, lengths_B: Tensor | None) -> Tensor:
        """Q_n^h, [B, T, H, N, K]."""
        x_BTD = x_BSD if lengths_B is None else last_position(x_BSD, lengths_B)
        return self.query(x_BTD).view(*x_BTD.shape[:2], self.heads, self.queries, self.head_dim)

    def _score_bias(self, S: int, lengths_B: Tensor | None, real_BS: Tensor | None) -> Tensor:
        """[B or 1, H·N or 1, T, S]: what is added to the scores, −∞ where a key is not to be seen."""
        position_S = torch.arange(S, device=self.query.weight.device)
        if lengths_B is not None:
            distance = lengths_B[:, None] - 1 - position_S  # what is later than the last position is padding
            return self._bias_of(distance).masked_fill(distance < 0, float("-inf")).transpose(0, 1)[:, :, None]
        distance = position_S[:, None] - position_S
        if self.causal:
            hidden = distance < 0
        else:
            assert real_BS is not None
            hidden = ~real_BS[:, None, None]
        return self._bias_of(distance)[None].masked_fill(hidden, float("-inf"))

    def _bias_of(self, distance: Tensor) -> Tensor:
        """[H·N or 1, …] from a tensor of distances; those to keys that are not to be seen may be any."""
        if self.bias is None:
            return self.query.weight.new_zeros(1, *distance.shape)
        return self.bias[:, (distance + self.nearest).clamp(min=0)]


def last_position(x_BTD: Tensor, lengths_B: Tensor) -> Tensor:
    """[B, 1, D]: each row of `x` at its last real position (rows are padded on the right)."""
    return x_BTD[torch.arange(x_BTD.shape[0], device=x_BTD.device), lengths_B - 1][:, None]
