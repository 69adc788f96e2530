"""Causal grouped-query attention: one module for SASRec's heads and for FAME's experts.

Letters: B batch, T time, D model width, H heads = facets, N experts (queries) per head, K = D/H.

FAME's Eq. 12–15: head h has one key and one value projection and N query projections (its experts),

    Q_n^h = X W_{Q,n}^h,  K^h = X W_K^h,  V^h = X W_V^h,  F_n^h = softmax(Q_n^h K^hᵀ / √K) V^h,

which is grouped-query attention with H·N query heads over H key/value heads. N = 1 is SASRec's
multi-head attention (without its output projection).

Sequences are padded on the right, so a causal mask is all the masking there is: no real position
can see a padded one.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class GroupedAttention(nn.Module):
    """N query heads per key/value head, causal, with an optional learned bias per distance.

    The relative bias adds b_{h,n}[i − j] to the score of query i and key j, one learned value for each
    query head and distance 0..T_max−1.
    """

    def __init__(self, *, dim: int, heads: int, queries: int, max_length: int, relative: bool, dropout: float) -> None:
        super().__init__()
        self.heads, self.queries, self.head_dim = heads, queries, dim // heads
        self.query = nn.Linear(dim, queries * dim)
        self.key_value = nn.Linear(dim, 2 * dim)
        self.bias = nn.Parameter(torch.zeros(heads * queries, max_length)) if relative else None
        self.dropout = dropout

    def forward(self, x_BTD: Tensor, lengths_B: Tensor | None = None) -> Tensor:
        """Attend over `x`.

        With `lengths_B` only the last real position of each row is a query (identity 3: scoring needs
        no other) and the result is [B, 1, H, N, K]; without, all are and it is [B, T, H, N, K].
        """
        B, T, _ = x_BTD.shape
        H, N, K = self.heads, self.queries, self.head_dim
        queries_BQD = x_BTD if lengths_B is None else last_position(x_BTD, lengths_B)
        q = self.query(queries_BQD).view(B, -1, H * N, K).transpose(1, 2)
        k, v = self.key_value(x_BTD).view(B, T, 2, H, K).permute(2, 0, 3, 1, 4)
        mask = self._causal_bias(T) if lengths_B is None else self._last_bias(lengths_B, T)
        dropout = self.dropout if self.training else 0.0
        attended = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, dropout_p=dropout, enable_gqa=N > 1)
        return attended.transpose(1, 2).reshape(B, -1, H, N, K)

    def _causal_bias(self, T: int) -> Tensor:
        """[1, H·N or 1, T, T]: bias of (query, key), −∞ where the key is later than the query."""
        position = torch.arange(T, device=self.query.weight.device)
        return self._bias_of(position[:, None] - position[None, :])[None]

    def _last_bias(self, lengths_B: Tensor, T: int) -> Tensor:
        """[B, H·N or 1, 1, T]: the row of `_causal_bias` that belongs to each last position."""
        distance_BT = lengths_B[:, None] - 1 - torch.arange(T, device=lengths_B.device)
        return self._bias_of(distance_BT).transpose(0, 1)[:, :, None]

    def _bias_of(self, distance: Tensor) -> Tensor:
        """[H·N or 1, …] from a tensor of distances; negative ones (the future) become −∞."""
        if self.bias is None:
            bias = self.query.weight.new_zeros(1, *distance.shape)
        else:
            bias = self.bias[:, distance.clamp(min=0)]
        return bias.masked_fill(distance < 0, float("-inf"))


def last_position(x_BTD: Tensor, lengths_B: Tensor) -> Tensor:
    """[B, 1, D]: each row of `x` at its last real position (rows are padded on the right)."""
    return x_BTD[torch.arange(len(x_BTD), device=x_BTD.device), lengths_B - 1][:, None]
