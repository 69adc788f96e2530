"""A table whose rows lie on several workers, a stretch on each: its lookup, its gradient, and its way into a file.

Letters: V + 1 rows (row 0 is the padding), D width, U rows that a worker asks for, W workers.

Worker r has the rows from r·⌈(V + 1) / W⌉ on. A lookup asks each worker for the rows that it has. The gradient goes
back the same way. Both are two exchanges of U numbers or rows each, whatever V is. So the table and all that an
optimiser keeps for it take 1/W of the memory on each worker. Workers look up in lockstep: all of them, equally often,
in the same order.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

PIECE_BYTES = 1 << 26
"""Bytes of a table that are sent to a file at a time."""


@dataclass(frozen=True)
class Stretch:
    """The division of `count` rows among `size` workers, and this worker's part."""

    count: int
    rank: int
    size: int

    @property
    def each(self) -> int:
        """Rows of a worker; the last ones may have fewer."""
        return math.ceil(self.count / self.size)

    def of(self, rank: int) -> slice:
        """The rows of a worker."""
        return slice(min(rank * self.each, self.count), min((rank + 1) * self.each, self.count))

    @property
    def own(self) -> slice:
        """The rows of this worker."""
        return self.of(self.rank)

    def counts(self, rows_U: Tensor) -> list[int]:
        """How many of sorted row numbers lie on each worker."""
        ends = torch.tensor([self.of(rank).stop for rank in range(self.size)], device=rows_U.device)
        below = torch.searchsorted(rows_U, ends).tolist()
        return [end - start for start, end in itertools.pairwise([0, *below])]


class ShardedEmbedding(nn.Embedding):
    """This worker's rows of an embedding, which looks up those of all workers; row 0 is the padding and learns nothing.

    The gradient of the rows is averaged over the workers, as that of other weights.
    """

    def __init__(self, whole: nn.Embedding, rank: int, size: int) -> None:
        stretch = Stretch(whole.num_embeddings, rank, size)
        own = whole.weight.detach()[stretch.own].clone()
        super().__init__(own.shape[0], own.shape[1], sparse=True, _weight=own)
        self.stretch = stretch

    def forward(self, items: Tensor) -> Tensor:
        """Rows of item numbers, [..., D]."""
        asked_U, place = items.unique(return_inverse=True)
        return F.embedding(place, _Lookup.apply(self.weight, asked_U, self.stretch))

    def total(self, values: Tensor) -> Tensor:
        """Sum over all workers, in place."""
        distributed.all_reduce(values)
        return values


@dataclass(frozen=True)
class Shard:
    """This worker's rows of a tensor that lies on all workers. The first one writes it, the others send it their rows."""

    rows: Tensor
    stretch: Stretch
    device: torch.device
    """Where the workers exchange tensors."""

    @property
    def dtype(self) -> torch.dtype:
        return self.rows.dtype

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the whole tensor."""
        return (self.stretch.count, *self.rows.shape[1:])

    def element_size(self) -> int:
        return self.rows.element_size()

    def numel(self) -> int:
        return math.prod(self.shape)

    def pieces(self) -> Iterator[Tensor]:
        """All rows in order, on the first worker."""
        yield self.rows
        for rank in range(1, self.stretch.size):
            for part in self._parts(rank):
                piece = torch.empty(part.stop - part.start, *self.shape[1:], dtype=self.dtype, device=self.device)
                distributed.recv(piece, rank)
                yield piece

    def send(self) -> None:
        """Send this worker's rows to the first one."""
        first = self.stretch.own.start
        for part in self._parts(self.stretch.rank):
            piece = self.rows[part.start - first : part.stop - first]
            distributed.send(piece.detach().to(self.device).contiguous(), 0)

    def _parts(self, rank: int) -> list[slice]:
        rows, of = max(1, PIECE_BYTES // (self.element_size() * math.prod(self.shape[1:]))), self.stretch.of(rank)
        return [slice(start, min(start + rows, of.stop)) for start in range(of.start, of.stop, rows)]


class _Lookup(torch.autograd.Function):
    """Rows of sorted numbers, [U, D], from the workers that have them."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor, asked_U: Tensor, stretch: Stretch) -> Tensor:
        asks = stretch.counts(asked_U)
        counts = asked_U.new_tensor(asks)
        distributed.all_to_all_single(asked := torch.empty_like(counts), counts)
        ctx.asks, ctx.gives = asks, asked.tolist()
        wanted = _exchange(asked_U, ctx.asks, ctx.gives)
        ctx.own, ctx.is_padding, ctx.shape = wanted - stretch.own.start, wanted == 0, weight.shape
        ctx.size = stretch.size
        return _exchange(weight[ctx.own], ctx.gives, ctx.asks)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_UD: Tensor) -> tuple[Tensor | None, ...]:
        rows = _exchange(grad_UD.contiguous(), ctx.asks, ctx.gives) / ctx.size
        rows.masked_fill_(ctx.is_padding[:, None], 0)
        return torch.sparse_coo_tensor(ctx.own[None], rows, ctx.shape, check_invariants=False), None, None


def _exchange(values: Tensor, sent: list[int], received: list[int]) -> Tensor:
    """Send so many rows to each worker, in order, and return those that come from each."""
    result = values.new_empty(sum(received), *values.shape[1:])
    distributed.all_to_all_single(result, values, received, sent)
    return result
