"""Several workers on one training: who this process is, and sums over all of them.

The process group is made by whoever starts the processes (Ray Train, torchrun); without one there is
a single worker. Nothing here needs Ray.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, distributed, nn


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
    def share(self) -> tuple[int, int]:
        return self.rank, self.size

    def sum(self, values: Tensor) -> Tensor:
        """Sum over all workers, in place."""
        if self.size > 1:
            distributed.all_reduce(values)
        return values

    def wrap(self, model: nn.Module) -> nn.Module:
        """The model with gradients averaged over all workers."""
        if self.size == 1:
            return model
        return nn.parallel.DistributedDataParallel(model, gradient_as_bucket_view=True)
