"""A mixture of softmaxes over the catalogue: its scores, and its cross entropy without the logits.

Letters: B queries, R rows (predicted positions), C rows of a chunk or some of the items, K softmaxes, V items, D width.

    p_v = Σ_k a_k softmax_v(z_k·x_v),   loss = −log p_y
    ρ_k = a_k softmax_y(z_k·x_y) / p_y,   ∂loss/∂(z_k·x_v) = ρ_k (softmax_v(z_k·x_v) − [v = y]),   ∂loss/∂ log a_k = −ρ_k

So the gradient is that of K cross entropies, each weighed by its share ρ of the target's probability. It is formed in
the forward pass chunk by chunk, as in `fame.losses.softmax`. A query holds all z_k and then all log a_k, [K·D + K].
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from fame.losses.softmax import softmax_
from fame.models.scoring import EVERY, Scorer, every
from fame.runtime.hardware import chunk_bytes


def split_queries(queries_BW: Tensor, softmaxes: int) -> tuple[Tensor, Tensor]:
    """z, [B, K, D], and log a, [B, K]."""
    return queries_BW[:, :-softmaxes].unflatten(1, (softmaxes, -1)), queries_BW[:, -softmaxes:]


class MixtureScorer(Scorer):
    """log p_v."""

    def __init__(self, table_VD: Tensor, softmaxes: int) -> None:
        self.table_VD, self.item_count, self.softmaxes = table_VD, len(table_VD), softmaxes
        self._normed: tuple[Tensor, Tensor] | None = None

    def scores(self, queries_BD: Tensor, items: slice | Tensor = EVERY, out: Tensor | None = None) -> Tensor:
        each_BKC, log_a_BK = self._each(queries_BD, items), split_queries(queries_BD, self.softmaxes)[1]
        log_sums_BK = each_BKC.logsumexp(2) if every(items) else self._log_sums(queries_BD)
        return (each_BKC + (log_a_BK - log_sums_BK)[..., None]).logsumexp(1)

    def _each(self, queries_BD: Tensor, items: slice | Tensor = EVERY) -> Tensor:
        """z_k·x_v, [B, K, C]."""
        z_BKD, _ = split_queries(queries_BD, self.softmaxes)
        return (z_BKD.flatten(0, 1) @ self.table_VD[items].T).unflatten(0, z_BKD.shape[:2])

    def _log_sums(self, queries_BD: Tensor) -> Tensor:
        """log Σ_v exp(z_k·x_v), [B, K]: once for queries that are asked for one stretch after the other."""
        if self._normed is None or self._normed[0] is not queries_BD:
            row_bytes = self.table_VD.element_size() * self.softmaxes * self.item_count
            parts = queries_BD.split(max(1, chunk_bytes(queries_BD.device) // row_bytes))
            self._normed = queries_BD, torch.cat([self._each(part).logsumexp(2) for part in parts])
        return self._normed[1]


def mixture_cross_entropy(
    z_RKD: Tensor, log_a_RK: Tensor, table_VD: Tensor, targets_R: Tensor, dtype: torch.dtype
) -> Tensor:
    """Sum over rows of −log p at the targets (0-based), a scalar; dtype: of the products, as in `fame.losses.softmax`."""
    return _MixtureCrossEntropy.apply(z_RKD, log_a_RK, table_VD, targets_R, dtype)


class _MixtureCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, z_RKD: Tensor, log_a_RK: Tensor, table_VD: Tensor, targets_R: Tensor, dtype: torch.dtype
    ) -> Tensor:
        (R, K, D), V = z_RKD.shape, len(table_VD)
        chunk = max(1, 2 * D // K, chunk_bytes(table_VD.device) // (dtype.itemsize * V * K))
        low_table_VD, low_z_RKD = table_VD.to(dtype), z_RKD.to(dtype)
        z_grad, a_grad, table_grad = torch.empty_like(z_RKD), torch.empty_like(log_a_RK), torch.zeros_like(table_VD)
        total, least = z_RKD.new_zeros(()), torch.finfo(dtype).tiny
        for start in range(0, R, chunk):
            part = slice(start, start + chunk)
            z = low_z_RKD[part].flatten(0, 1)
            weights = softmax_(z @ low_table_VD.T)
            hits = targets_R[part].repeat_interleave(K)[:, None]
            log_p_CK = weights.gather(1, hits).view(-1, K).to(z_RKD.dtype).clamp_(min=least).log_() + log_a_RK[part]
            total -= log_p_CK.logsumexp(1).sum()
            shares_CK = log_p_CK.softmax(1)
            weights *= shares_CK.view(-1, 1).to(dtype)
            z_grad[part] = (weights @ low_table_VD).view(-1, K, D)
            a_grad[part] = -shares_CK
            table_grad += weights.T @ z
        z_grad += a_grad[..., None] * table_VD[targets_R][:, None]
        table_grad.index_add_(0, targets_R, (a_grad[..., None] * z_RKD).sum(1))
        ctx.save_for_backward(z_grad, a_grad, table_grad)
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        z_grad, a_grad, table_grad = ctx.saved_tensors
        return grad * z_grad, grad * a_grad, grad * table_grad, None, None
