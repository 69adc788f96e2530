"""Exact softmax cross entropy over the whole catalogue without the logits.

Letters: R rows (predicted positions), C rows of a chunk, V items, D width.

Rows go through in chunks. The logits of a chunk are formed, and turned into softmax weights in place. The gradients of
the rows and of the item table use them at once. So memory is chunk × V instead of R × V, and the logits are computed
once instead of twice:

    loss = −Σ_rv t_rv log p_rv,   p_rv = exp(z_r·e_v) / Σ_w exp(z_r·e_w),   t_rv = (1 − ε) [v = y_r] + ε/V
    ∂loss/∂z_r = Σ_v (p_rv − t_rv) e_v,   ∂loss/∂e_v = Σ_r (p_rv − t_rv) z_r

With label smoothing ε (Szegedy et al., CVPR 2016, §7), Σ_v t_rv e_v = (1 − ε) e_{y_r} + ε ē, with ē the mean item, so
that the smoothed loss is the plain one plus ε z_r·(e_{y_r} − ē), and costs no more.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from fame.runtime.hardware import chunk_bytes, cpu_words


def linear_cross_entropy(
    rows_RD: Tensor,
    table_VD: Tensor,
    targets_R: Tensor,
    dtype: torch.dtype,
    padding: int = 0,
    label_smoothing: float = 0.0,
) -> Tensor:
    """Sum over rows of the cross entropy of `rows @ table.T` against `targets` (0-based rows of the table).

    The first `padding` rows of the table are no items: they have no logit, and a gradient of 0. (A slice
    of the table would do the same, but its gradient is copied into one of the whole table's size.)
    Logits and softmax weights are held in `dtype`. The sums inside the matrix products and the softmax are float32 (or
    wider), and so is the returned scalar. The gradients have the dtype of `rows`. The value of one row is at most −log
    of the smallest normal number of `dtype` (87 for float32 and bfloat16); its gradient has no such limit.
    label_smoothing: ε, the share of a row's target that all items have alike.
    """
    return _LinearCrossEntropy.apply(rows_RD, table_VD, targets_R, dtype, padding, label_smoothing)


class _LinearCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        rows_RD: Tensor,
        whole_table: Tensor,
        targets_R: Tensor,
        dtype: torch.dtype,
        padding: int,
        smoothing: float,
    ) -> Tensor:
        table_VD, targets_R = whole_table[padding:], targets_R - padding
        V, R = len(table_VD), len(rows_RD)
        # Each chunk goes over the table's gradient once: with 2·D rows that is no more than its logits are.
        chunk = max(2 * table_VD.shape[1], chunk_bytes(table_VD.device) // (dtype.itemsize * V))
        low_table_VD, low_rows_RD = table_VD.to(dtype), rows_RD.to(dtype)
        buffer_CV = low_rows_RD.new_empty(min(chunk, R), V)
        rows_grad_RD = torch.empty_like(rows_RD)
        whole_grad = torch.zeros_like(whole_table)
        table_grad_VD = whole_grad[padding:]
        target_weights = []
        for start in range(0, R, chunk):
            part = slice(start, start + chunk)
            weights = softmax_(torch.mm(low_rows_RD[part], low_table_VD.T, out=buffer_CV[: R - start]))
            target_weights.append(weights.gather(1, targets_R[part, None])[:, 0])
            rows_grad_RD[part] = weights @ low_table_VD
            if dtype == table_VD.dtype:
                table_grad_VD.addmm_(weights.T, low_rows_RD[part])
            else:
                table_grad_VD += weights.T @ low_rows_RD[part]
        targets_RD = table_VD[targets_R]
        rows_grad_RD -= targets_RD
        table_grad_VD.index_add_(0, targets_R, rows_RD, alpha=-1)
        smoothed = rows_RD.new_zeros(())
        if smoothing:
            from_mean_RD = (targets_RD - table_VD.mean(0)).mul_(smoothing)
            smoothed = (rows_RD * from_mean_RD).sum()
            rows_grad_RD += from_mean_RD
            table_grad_VD.index_add_(0, targets_R, rows_RD, alpha=smoothing)
            table_grad_VD -= rows_RD.sum(0) * (smoothing / V)
        ctx.save_for_backward(rows_grad_RD, whole_grad)
        if not R:
            return smoothed
        least = torch.finfo(dtype).tiny
        return smoothed - torch.cat(target_weights).to(rows_RD.dtype).clamp_(min=least).log_().sum()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        rows_grad_RD, whole_grad = ctx.saved_tensors
        return grad * rows_grad_RD, grad * whole_grad, None, None, None, None


def softmax_(logits_CV: Tensor) -> Tensor:
    """Softmax over V, written over its input on CPU, where that keeps the chunk in cache."""
    return torch.softmax(logits_CV, 1, out=None if logits_CV.is_cuda else logits_CV)


def product_dtype(precision: str, device: torch.device) -> torch.dtype:
    """The dtype of the loss's matrix products for `train.precision` on this device."""
    if precision == "auto":
        precision = "bfloat16" if multiplies_bfloat16_faster(device.type) else "float32"
    return getattr(torch, precision)


@cache
def multiplies_bfloat16_faster(device_type: str) -> bool:
    """Whether the hardware multiplies bfloat16 faster than float32: tensor cores, AMX, or AMD's AVX512-BF16.

    Intel's AVX512-BF16 without AMX multiplies bfloat16 at half the speed of float32 (docs/LOG.md).
    """
    if device_type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if not (torch.backends.mkldnn.is_available() and torch.ops.mkldnn._is_mkldnn_bf16_supported()):
        return False
    return "GenuineIntel" not in cpu_words() or "amx_bf16" in cpu_words()
