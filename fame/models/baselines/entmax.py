"""α-entmax: a softmax that gives exact zeros (Peters, Niculae, Martins, ACL 2019, arXiv 1905.05702).

    entmax_α(z) = argmax_p p·z + H_α(p) = [(α − 1) z − τ]₊^{1/(α − 1)},   τ such that the weights sum to 1

α → 1 is the softmax, α = 2 the sparsemax. τ lies within 1 below the highest (α − 1) z and is found by bisection. The gradient
has a closed form: with s = p^{2−α} where p > 0, else 0,   ∂p/∂z = diag(s) − s sᵀ / Σ s.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

SPARE_STEPS = 6
"""Steps of the bisection beyond the bits of a number."""


def entmax(votes: Tensor, alpha: float) -> Tensor:
    """Weights over the last axis, 1 < alpha ≤ 2; a vote of −∞ has the weight 0. At least one must be finite."""
    return _Entmax.apply(votes, alpha)


class _Entmax(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, votes: Tensor, alpha: float) -> Tensor:
        scaled = (alpha - 1) * votes
        # At the lower end the highest vote alone has the weight 1, at the upper end none has any.
        high = scaled.amax(-1, keepdim=True)
        low = high - 1
        for _ in range(SPARE_STEPS - int(math.log2(torch.finfo(votes.dtype).eps))):
            middle = (low + high) / 2
            too_low = _weights(scaled, middle, alpha).sum(-1, keepdim=True) >= 1
            low, high = torch.where(too_low, middle, low), torch.where(too_low, high, middle)
        weights = _weights(scaled, low, alpha)
        weights = weights / weights.sum(-1, keepdim=True)
        ctx.alpha = alpha
        ctx.save_for_backward(weights)
        return weights

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        (weights,) = ctx.saved_tensors
        s = torch.where(weights > 0, weights ** (2 - ctx.alpha), 0)
        part = s * grad
        return part - s * (part.sum(-1, keepdim=True) / s.sum(-1, keepdim=True)), None


def _weights(scaled: Tensor, threshold: Tensor, alpha: float) -> Tensor:
    return (scaled - threshold).clamp(min=0) ** (1 / (alpha - 1))
