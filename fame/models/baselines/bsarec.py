"""BSARec: attention mixed with a filter of frequencies (Shin, Choi, Wi, Park, AAAI 2024, arXiv 2312.10325).

Letters: B batch, T time of the queries, S time of what is read, D model width, c cutoff.

Attention is a low-pass filter, and blocks of it smooth a history until its items look alike. Each block therefore mixes
it with a branch that splits the history along time. F is the discrete Fourier transform of a window of max_length
items. The window ends at the newest item and has zeros before the first:

    LFC(X) = F⁻¹(the c lowest frequencies of F X),   HFC(X) = X − LFC(X)
    filter(X) = LN(X + dropout(LFC(X) + β ⊙ HFC(X)))        β = γ², γ learned, one number for each of D
    attention(X) = LN(X + dropout(MultiHead(X)))
    X̃ = α · filter(X) + (1 − α) · attention(X),   FFN(X̃) as in SASRec.

The low-pass is a product with k(i − j) for items i and j. k is the inverse transform of an indicator, an even function
with the period of the window. So the place of a history in the window makes no difference.

What differs from the paper:

- `filter: whole` is the paper's: an item is filtered with the items after it in the window, too, so a pass answers for
  the last position alone (`train.mode: prefix`, as the paper trains). `causal`, the default, filters each item as
  the newest of its own window: k(i − j) for j ≤ i. With one block the last position is the same in both; with more, what
  it reads of earlier items differs. Every position then trains in one pass.
- Positions before the first item are zeros; the authors' code has position vectors there, normed, for SASRec's
  padding. Position encoding is SASRec's setting (`positions: absolute_right` is the paper's).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from fame.config import Count, Share, TrainConfig, require
from fame.models.layers.attention import last_position
from fame.models.layers.blocks import AttentionSublayer, TransformerBlock
from fame.models.sasrec import SASRec, SASRecConfig
from fame.registry import models


@dataclass(frozen=True, kw_only=True)
class BSARecConfig(SASRecConfig):
    """BSARec (AAAI 2024): SASRec with a filter of frequencies beside each attention."""

    name: Literal["bsarec"] = "bsarec"  # type: ignore[assignment]
    alpha: Share = 0.7
    """α, weight of the filter; the attention's is 1 − α."""
    cutoff: Count = 5
    """c, how many of the lowest frequencies of a window, of both signs, count as low; odd."""
    filter: Literal["causal", "whole"] = "causal"
    """An item is filtered with those before it in its window, or, as in the paper, with all of the window."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(
            self.cutoff % 2 == 1, "model.cutoff", self.cutoff, "must be odd: frequency 0, and pairs of opposite sign"
        )

    def check_training(self, train: TrainConfig) -> None:
        super().check_training(train)
        rule = "shows an item those after it, so it needs train.mode = prefix and train.targets = 1"
        require(self.filter == "causal" or train.one_target, "model.filter", self.filter, rule)


class FrequencyFilter(nn.Module):
    """LFC(X) + β ⊙ HFC(X), over windows of `max_length` items."""

    kernel_T: Tensor

    def __init__(self, *, dim: int, cutoff: int, max_length: int, causal: bool) -> None:
        super().__init__()
        self.causal = causal
        self.gamma = nn.Parameter(torch.randn(dim))
        kept = torch.arange(max_length // 2 + 1) <= cutoff // 2
        self.register_buffer("kernel_T", torch.fft.irfft(kept.double(), n=max_length).float(), persistent=False)

    def forward(self, x_BSD: Tensor, lengths_B: Tensor | None = None) -> Tensor:
        """[B, T, D] of every position, T = S; with `lengths_B` of the last real one alone, T = 1.

        What lies in the padding must be zero, unless the filter is causal.
        """
        position_S = torch.arange(x_BSD.shape[1], device=x_BSD.device)
        if lengths_B is None:
            distance, x_BTD = position_S[:, None] - position_S, x_BSD
        else:
            distance, x_BTD = (lengths_B[:, None] - 1 - position_S)[:, None], last_position(x_BSD, lengths_B)
        kernel = self.kernel_T[distance.abs()]
        if self.causal or lengths_B is not None:
            kernel = kernel.masked_fill(distance < 0, 0)
        low_BTD = kernel @ x_BSD
        return low_BTD + self.gamma.square() * (x_BTD - low_BTD)


class Filtered(AttentionSublayer):
    """Puts the filter beside the attention of a block; to be inherited from before the block's class."""

    def __init__(self, config: BSARecConfig, max_length: int) -> None:
        super().__init__(config, max_length)
        self.alpha = config.alpha
        self.filter_norm = nn.LayerNorm(config.dim, eps=1e-12)
        self.filter = FrequencyFilter(
            dim=config.dim, cutoff=config.cutoff, max_length=max_length, causal=config.filter == "causal"
        )

    def mix(self, x_BTD: Tensor, lengths_B: Tensor | None, real_BS: Tensor | None) -> Tensor:
        filtered = self.dropout(self.filter(x_BTD, lengths_B))
        ends = x_BTD if lengths_B is None else last_position(x_BTD, lengths_B)
        filtered = self.filter_norm(ends + filtered)
        return self.alpha * filtered + (1 - self.alpha) * super().mix(x_BTD, lengths_B, real_BS)


class BSARecBlock(Filtered, TransformerBlock):
    """SASRec's block with the filter beside the attention."""


@models.register("bsarec")
class BSARec(SASRec):
    """SASRec of BSARec's blocks."""

    Config: type[BSARecConfig] = BSARecConfig
    config: BSARecConfig
    Block = BSARecBlock

    def _before_last_block(self, items_BT: Tensor, lengths_B: Tensor) -> Tensor:
        if self.config.filter == "causal":
            return super()._before_last_block(items_BT, lengths_B)
        real_BT1 = (torch.arange(items_BT.shape[1], device=items_BT.device) < lengths_B[:, None])[..., None]
        x_BTD = self._embed(items_BT, lengths_B) * real_BT1
        for block in self.blocks[:-1]:
            x_BTD = block(x_BTD) * real_BT1
        return x_BTD
