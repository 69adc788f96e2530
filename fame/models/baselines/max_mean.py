"""The highest of several dot products and one more, added: scores, and their cross entropy without the logits.

Letters: B queries, R rows (predicted positions), C rows of a chunk or some of the items, I vectors, V items, D width.

    s_v = max_i q_i·x_v + m·x_v,   loss = −log softmax_y(s)
    g_v = softmax_v(s) − [v = y],   ∂loss/∂m = Σ_v g_v x_v,   ∂loss/∂q_i = Σ_{v: i is the highest for v} g_v x_v

The gradient is formed in the forward pass chunk by chunk, as in `fame.losses.softmax`. A query holds all q_i and then m,
[(I + 1)·D], I at most `MOST`. A row that has fewer vectors ends in its first one, repeated, which costs nothing in training.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from fame.losses.softmax import softmax_
from fame.models.scoring import EVERY, Scorer
from fame.runtime.hardware import chunk_bytes

MOST = 255
"""The largest number of vectors that fits into a byte."""


class MaxMeanScorer(Scorer):
    """s_v."""

    def __init__(self, table_VD: Tensor) -> None:
        self.table_VD, self.item_count = table_VD, len(table_VD)

    def scores(self, queries_BD: Tensor, items: slice | Tensor = EVERY, out: Tensor | None = None) -> Tensor:
        table_CD = self.table_VD[items]
        *q, m_BD = queries_BD.unflatten(1, (-1, table_CD.shape[1])).unbind(1)
        best_BC = q[0] @ table_CD.T
        for q_BD in q[1:]:
            best_BC = torch.maximum(best_BC, q_BD @ table_CD.T)
        return best_BC.addmm_(m_BD, table_CD.T)


def max_mean_cross_entropy(queries_RW: Tensor, table_VD: Tensor, targets_R: Tensor, dtype: torch.dtype) -> Tensor:
    """Sum over rows of the cross entropy of s against the targets (0-based); dtype: of the products, as in `fame.losses.softmax`."""
    return _MaxMeanCrossEntropy.apply(queries_RW.unflatten(1, (-1, table_VD.shape[1])), table_VD, targets_R, dtype)


class _MaxMeanCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, q_RID: Tensor, table_VD: Tensor, targets_R: Tensor, dtype: torch.dtype) -> Tensor:
        (R, _, D), V = q_RID.shape, len(table_VD)
        chunk = max(2 * D, chunk_bytes(table_VD.device) // (dtype.itemsize * V))
        # Rows with many vectors first: those of a chunk that have an i-th one are then its first rows.
        counts_R = 1 + (q_RID[:, 1:-1] != q_RID[:, :1]).any(2).sum(1)
        order_R = counts_R.argsort(descending=True)
        q_RID, targets_R, counts = q_RID[order_R], targets_R[order_R], counts_R[order_R].cpu()
        low_table_VD, low_q_RID = table_VD.to(dtype), q_RID.to(dtype)
        q_grad, table_grad = torch.zeros_like(q_RID), torch.zeros_like(table_VD)
        weights_R, best_R = low_q_RID.new_empty(R), torch.empty_like(targets_R)
        for start in range(0, R, chunk):
            part = slice(start, start + chunk)
            rows = [int((counts[part] > i).sum()) for i in range(int(counts[start]))]
            arguments = low_q_RID[part], low_table_VD, targets_R[part], rows, q_grad[part], table_grad
            weights_R[part], best_R[part] = _chunk(*arguments)
        # The target's −1 in g, for the vector that is the highest for it and for m.
        row_R, target_RD = torch.arange(R, device=q_RID.device), table_VD[targets_R]
        q_grad[row_R, best_R] -= target_RD
        q_grad[:, -1] -= target_RD
        table_grad.index_add_(0, targets_R, q_RID[row_R, best_R] + q_RID[:, -1], alpha=-1)
        ctx.save_for_backward(torch.empty_like(q_grad).index_copy_(0, order_R, q_grad), table_grad)
        return -weights_R.to(table_VD.dtype).clamp_(min=torch.finfo(dtype).tiny).log_().sum()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        q_grad, table_grad = ctx.saved_tensors
        return grad * q_grad, grad * table_grad, None, None


def _chunk(
    q_CID: Tensor, table_VD: Tensor, targets_C: Tensor, rows: list[int], q_grad_CID: Tensor, table_grad_VD: Tensor
) -> tuple[Tensor, Tensor]:
    """The targets' probabilities and which vector is the highest for them, [C].

    Writes the softmax's part of the rows' gradient, and adds that of the table. rows: how many of the chunk's rows,
    from the first, have a vector number i.
    """
    best_CV, m_CD = q_CID[:, 0] @ table_VD.T, q_CID[:, -1]
    which_CV = torch.zeros(best_CV.shape, dtype=torch.uint8, device=best_CV.device)
    for i, n in enumerate(rows[1:], start=1):
        scores_NV = q_CID[:n, i] @ table_VD.T
        # A later vector that is better has the larger number.
        torch.maximum(which_CV[:n], (scores_NV > best_CV[:n]).view(torch.uint8).mul_(i), out=which_CV[:n])
        torch.maximum(best_CV[:n], scores_NV, out=best_CV[:n])
    weights_CV = softmax_(best_CV.addmm_(m_CD, table_VD.T))
    q_grad_CID[:, -1] = weights_CV @ table_VD
    table_grad_VD += weights_CV.T @ m_CD
    for i, n in enumerate(rows):
        own_NV = weights_CV[:n] * (which_CV[:n] == i).to(weights_CV.dtype)
        q_grad_CID[:n, i] = own_NV @ table_VD
        table_grad_VD += own_NV.T @ q_CID[:n, i]
    weights_C, which_C = (part_CV.gather(1, targets_C[:, None])[:, 0] for part_CV in (weights_CV, which_CV))
    return weights_C, which_C.long()
