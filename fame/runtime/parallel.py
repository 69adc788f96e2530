"""Several workers on one training: who this process is, and sums over all of them.

The process group is made by whoever starts the processes (Ray Train, torchrun); without one there is
a single worker. Nothing here needs Ray.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F
from torch.nn.parallel import DistributedDataParallel

from fame.runtime.sharding import ShardedEmbedding

if distributed.is_available():  # DDP imports it later, and its functions' defaults would then hold the group for good
    import torch.distributed.nn

Share = tuple[int, int]
"""(rank, size): this process takes every `size`-th row, beginning with row `rank`."""


@dataclass(frozen=True, kw_only=True)
class Workers:
    """This worker's rank among `size`, and the device it computes on."""

    rank: int = 0
    size: int = 1
    device: torch.device

    @classmethod
    def current(cls, device: torch.device | None = None) -> Workers:
        """The running process group's, or a single worker; the GPU if there is one."""
        device = device or torch.device("cuda" if torch.cuda.is_available() else "cpu")
        if distributed.is_available() and distributed.is_initialized():
            return cls(rank=distributed.get_rank(), size=distributed.get_world_size(), device=device)
        return cls(device=device)

    @property
    def first(self) -> bool:
        """Whether this is the worker that writes files."""
        return self.rank == 0

    @property
    def share(self) -> Share:
        return self.rank, self.size

    def sum(self, values: Tensor) -> Tensor:
        """Sum over all workers, in place."""
        if self.size > 1:
            distributed.all_reduce(values)
        return values

    def decided(self, answer: bool) -> bool:
        """The first worker's answer, on all workers."""
        return bool(self.sum(torch.tensor(float(answer and self.first), device=self.device)))

    def share_rows(self, model: nn.Module, embedding: nn.Embedding) -> ShardedEmbedding:
        """Put a stretch of an embedding's rows in its place in the model (`fame.runtime.sharding`)."""
        table = ShardedEmbedding(embedding, self.rank, self.size)
        for parent in list(model.modules()):
            for name, child in list(parent.named_children()):
                if child is embedding:
                    setattr(parent, name, table)
        return table

    def wrap(self, model: nn.Module) -> nn.Module:
        """The model with gradients averaged over all workers, but for sparse ones: see `average_rows`."""
        if self.size == 1 or not any(weight.requires_grad for weight in model.parameters()):
            return model
        DistributedDataParallel._set_params_and_buffers_to_ignore_for_model(model, list(_sparse_weights(model)))
        return DistributedDataParallel(model, gradient_as_bucket_view=True)

    def average_rows(self, model: nn.Module) -> None:
        """Average over all workers the gradients that have rows (DDP can only with gloo); those of a shard are."""
        if self.size > 1:
            for weight in _sparse_weights(model, shards=False).values():
                assert weight.grad is not None
                weight.grad = self._average_rows(weight.grad.coalesce())

    def _average_rows(self, grad: Tensor) -> Tensor:
        rows, values = grad.indices()[0], grad.values()
        counts = [int(count) for count in self._gather(rows.new_tensor([len(rows)]))]
        padding = max(counts) - len(rows)  # all workers must send equally much
        all_rows = self._gather(F.pad(rows, (0, padding)))
        all_values = self._gather(F.pad(values, (0, 0, 0, padding)))
        rows = torch.cat([part[:count] for part, count in zip(all_rows, counts, strict=True)])
        values = torch.cat([part[:count] for part, count in zip(all_values, counts, strict=True)])
        return torch.sparse_coo_tensor(rows[None], values / self.size, grad.shape, check_invariants=False)

    def _gather(self, values: Tensor) -> list[Tensor]:
        """Every worker's values, which have the same shape."""
        parts = [torch.empty_like(values) for _ in range(self.size)]
        distributed.all_gather(parts, values)
        return parts


def gather_rows(own: Tensor, share: Share, count: int) -> Tensor:
    """The `count` rows of which each worker has its share, in order; differentiable.

    All workers must call it, and its backward pass, in the same order.
    """
    return own if share[1] == 1 else _GatherRows.apply(own, share, count)


class _GatherRows(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, own: Tensor, share: Share, count: int) -> Tensor:
        ctx.share = share
        _, size = share
        padded = own.new_zeros(-(-count // size), *own.shape[1:])  # all workers must send equally much
        padded[: len(own)] = own
        parts = [torch.empty_like(padded) for _ in range(size)]
        distributed.all_gather(parts, padded)
        return torch.stack(parts, 1).flatten(0, 1)[:count]  # row j of worker r is row j·size + r

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        rank, size = ctx.share
        grad = grad.clone(memory_format=torch.contiguous_format)
        distributed.all_reduce(grad)  # what each worker's loss asks of the rows
        return grad[rank::size], None, None


def _sparse_weights(model: nn.Module, shards: bool = True) -> dict[str, Tensor]:
    """Weights whose gradients have rows, by name; `shards`: also those whose rows lie on several workers."""
    return {
        f"{name}.weight": module.weight
        for name, module in model.named_modules()
        if isinstance(module, nn.Embedding) and module.sparse and (shards or not isinstance(module, ShardedEmbedding))
    }
