"""Exact softmax cross entropy over the whole catalogue without the logits.

Letters: R rows (predicted positions), V items, D width.

Rows go through in chunks. For each chunk the logits are formed, turned into softmax weights in
place, and used at once for the gradients of the rows and of the item table, so that memory is
chunk × V instead of R × V and the logits are computed once instead of twice:

    loss = Σ_r logsumexp_v(z_r·e_v) − z_r·e_{y_r}
    ∂loss/∂z_r = Σ_v p_rv e_v − e_{y_r},   ∂loss/∂e_v = Σ_r (p_rv − [v = y_r]) z_r
"""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

CPU_CHUNK_BYTES = 4 << 20
"""A chunk of float32 logits of this size was the fastest on CPU (docs/LOG.md): it stays in cache."""
GPU_CHUNK_BYTES = 1 << 30


def linear_cross_entropy(rows_RD: Tensor, table_VD: Tensor, targets_R: Tensor, dtype: torch.dtype) -> Tensor:
    """Sum over rows of the cross entropy of `rows @ table.T` against `targets` (0-based rows of the table).

    The matrix products run in `dtype` with float32 (or wider) accumulation; everything else, the
    returned scalar and the gradients have the dtype of `rows`.
    """
    return _LinearCrossEntropy.apply(rows_RD, table_VD, targets_R, dtype)


class _LinearCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(ctx, rows_RD, table_VD, targets_R, dtype):
        chunk = _chunk_rows(table_VD)
        low_table_VD = table_VD.to(dtype)
        logits_CV = rows_RD.new_empty(min(chunk, len(rows_RD)), len(table_VD))
        rows_grad_RD = torch.empty_like(rows_RD)
        table_grad_VD = torch.zeros_like(table_VD)
        loss = rows_RD.new_zeros(())
        for start in range(0, len(rows_RD), chunk):
            part = slice(start, start + chunk)
            rows, targets = rows_RD[part], targets_R[part, None]
            weights = logits_CV[: len(rows)]
            if dtype == rows.dtype:
                torch.mm(rows, low_table_VD.T, out=weights)
            else:
                weights.copy_(rows.to(dtype) @ low_table_VD.T)
            target_logit = weights.gather(1, targets)
            top = weights.amax(1, keepdim=True)
            weights.sub_(top).exp_()
            total = weights.sum(1, keepdim=True)
            loss += (top + total.log() - target_logit).sum()
            # The division by `total` is done on the narrow side of both products.
            low_weights = weights.to(dtype)
            rows_grad_RD[part] = (low_weights @ low_table_VD).to(rows.dtype) / total
            scaled = (rows / total).to(dtype)
            if dtype == rows.dtype:
                table_grad_VD.addmm_(low_weights.T, scaled)
            else:
                table_grad_VD += low_weights.T @ scaled
        rows_grad_RD -= table_VD[targets_R]
        table_grad_VD.index_add_(0, targets_R, rows_RD, alpha=-1)
        ctx.save_for_backward(rows_grad_RD, table_grad_VD)
        return loss

    @staticmethod
    @once_differentiable
    def backward(ctx, grad):
        rows_grad_RD, table_grad_VD = ctx.saved_tensors
        return grad * rows_grad_RD, grad * table_grad_VD, None, None


def product_dtype(precision: str, device: torch.device) -> torch.dtype:
    """The dtype of the loss's matrix products for `train.precision` on this device."""
    if precision == "auto":
        precision = "bfloat16" if multiplies_bfloat16_faster(device.type) else "float32"
    return getattr(torch, precision)


@cache
def multiplies_bfloat16_faster(device_type: str) -> bool:
    """Whether the hardware has bfloat16 matrix units: tensor cores, AMX or AVX512-BF16."""
    if device_type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.backends.mkldnn.is_available() and torch.ops.mkldnn._is_mkldnn_bf16_supported()


def _chunk_rows(table_VD: Tensor) -> int:
    budget = GPU_CHUNK_BYTES if table_VD.is_cuda else CPU_CHUNK_BYTES
    return max(16, budget // (4 * len(table_VD)))
