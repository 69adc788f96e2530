"""InfoNCE between two views of the rows of a batch, and the settings of the models that add it to their loss.

Letters: B rows of the whole batch, D width.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from fame.config import NotNegative, Positive
from fame.models.sasrec import SASRecConfig


@dataclass(frozen=True, kw_only=True)
class ContrastConfig(SASRecConfig):
    """A SASRec with a contrastive term in its loss."""

    contrast_weight: NotNegative = 0.1
    """Weight of the contrastive term, beside the mean loss of a target."""
    temperature: Positive = 1.0
    """τ, what similarities are divided by."""
    similarity: Literal["dot", "cosine"] = "dot"
    """Similarity of two representations."""


def info_nce(one_BD: Tensor, two_BD: Tensor, config: ContrastConfig, alike_BB: Tensor | None = None) -> Tensor:
    """Mean of −log p_i over both views of all rows, a scalar: each view is to find the other one of its row, z',

        p_i = exp(s(z_i, z_i')/τ) / (exp(s(z_i, z_i')/τ) + Σ_{j≠i} [exp(s(z_i, z_j')/τ) + exp(s(z_i, z_j)/τ)]).

    alike: bool [B, B]; rows that are alike are no negatives of each other.
    """
    B = len(one_BD)
    z_2BD = torch.cat([one_BD, two_BD])
    if config.similarity == "cosine":
        z_2BD = F.normalize(z_2BD, dim=1)
    scores = z_2BD @ z_2BD.T / config.temperature
    itself = torch.eye(B, dtype=torch.bool, device=scores.device)
    alike_BB = itself if alike_BB is None else alike_BB | itself
    left_out = torch.cat([torch.cat([alike_BB, alike_BB & ~itself]), torch.cat([alike_BB & ~itself, alike_BB])], dim=1)
    other = torch.arange(2 * B, device=scores.device).roll(B)
    return F.cross_entropy(scores.masked_fill(left_out, float("-inf")), other)
