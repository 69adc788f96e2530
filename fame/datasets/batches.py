"""Batches of windows, formed on the device by indexing.

Letters: B batch, T time, R predicted positions.

The interactions (`Sequences.values`) are put on the device once, or mapped into a CPU's memory; a batch is a gather
from them. Windows of similar length go together, so that padding stays at a few per cent.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fame.datasets.sequences import Sequences, Windows
from fame.runtime.parallel import Share, gather_rows


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Rows of items, padded on the right with 0, and the targets to predict from them."""

    items_BT: Tensor
    """int64 item numbers."""
    lengths_B: Tensor
    """int64, number of real items of each row, at least 1."""
    counts_B: Tensor
    """int64, targets of each row: those of its last positions."""
    targets_R: Tensor
    """int64 item numbers; with `last_only` R = B, one target for the last position of each row."""
    positions_R: Tensor | None
    """int64, where each target belongs in the flattened [B·T] rows; None with `last_only`."""
    last_only: bool
    target_count: int
    """Targets of the whole batch, over all workers."""
    mean_targets: float
    """Mean `target_count` of the epoch's batches. What a step divides the sum over its targets by: batches are of rows
    of like length, so by its own count a target in a short row would weigh more than one in a long row."""
    windows: np.ndarray
    """int64 [B], number of the window that each row shows, in the batcher's `windows`; on the host."""
    row_count: int
    """Rows of the whole batch, over all workers."""
    share: Share
    """This worker's share of these rows."""

    @property
    def last_R(self) -> Tensor | slice:
        """Where in the targets the last one of each row is, [B]; empty for a worker that has no rows."""
        if self.last_only:
            return slice(None)
        return self.counts_B.cumsum(0)[: len(self.targets_R)] - 1

    def draw(self, generator: torch.Generator, *shape: int) -> Tensor:
        """Uniform random numbers in [0, 1) for each row, [B, *shape]: the same ones however many workers there are.

        The generator has to be in the same state on all of them.
        """
        numbers = torch.rand(self.row_count, *shape, generator=generator, device=self.items_BT.device)
        rank, size = self.share
        return numbers[rank::size] if len(self.targets_R) else numbers[:1]

    def all_rows(self, own_B: Tensor) -> Tensor:
        """Return all workers' values for their rows, [row_count, …], in the batch's order. Gradients go back to each.

        own: [B, …], or without rows on a worker that has none. All workers must call it, in the same order.
        """
        return gather_rows(own_B if len(self.targets_R) else own_B[:0], self.share, self.row_count)

    def part(self, mean: Tensor) -> Tensor:
        """This worker's part of a sum over the batch's targets, for a mean over the whole batch's rows (a scalar).

        Of a loss that all workers compute from `all_rows` each one contributes its share. Every row weighs the
        same in all batches.
        """
        return mean * (self.mean_targets / self.share[1])


def device_values(sequences: Sequences, device: torch.device) -> Tensor:
    """`sequences.values` on a device, int32 [P]: made once, read by every batcher, written by nobody.

    On a CPU these are the array itself: where it is a mapped file, batches read the pages that they need.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The given NumPy array is not writable")
        return torch.from_numpy(sequences.values).to(device)


class Batcher:
    """Forms batches of windows of `values` (`device_values`), on its device.

    share: with several workers each takes its rows of every batch, so that a batch means the same
    however many there are.
    """

    def __init__(self, values: Tensor, windows: Windows, share: Share = (0, 1)) -> None:
        self.values, self.windows, self.share = values, windows, share
        self.device = values.device

    def epoch(self, batch_size: int, generator: np.random.Generator) -> Iterator[Batch]:
        """Batches of one epoch, in random order: every window once.

        Windows are sorted by length, those of equal length at random, cut into batches, and the batches
        shuffled. With several workers the last rows of a batch may leave a worker without any; it then
        repeats a row with no target. The device is never waited for: it gets the epoch's order once, and
        whatever a tensor's shape depends on is known to the host.
        """
        order = np.lexsort((generator.random(len(self.windows)), self.windows.lengths))
        lengths, counts = self.windows.lengths[order], self.windows.targets[order]
        starts_M, lengths_M, counts_M = (self._put(p) for p in (self.windows.starts[order], lengths, counts))
        last_only = bool((counts == 1).all())
        rank, size = self.share
        firsts = np.arange(0, len(order), batch_size)
        mean_targets = float(counts.sum()) / max(1, len(firsts))
        for first in generator.permutation(firsts):
            end = min(first + batch_size, len(order))
            target_count = int(counts[first:end].sum())
            has_rows = first + rank < end
            mine = slice(first + rank, end, size) if has_rows else slice(first, first + 1)
            batch = self.batch(
                starts_M[mine],
                lengths_M[mine],
                counts_M[mine],
                lengths[mine],
                counts[mine],
                last_only,
                windows=order[mine],
                target_count=target_count,
                mean_targets=mean_targets,
                row_count=int(end - first),
            )
            yield batch if has_rows else _without_targets(batch)

    def padding(self, batch_size: int) -> float:
        """Share of padded positions in the batches of an epoch."""
        lengths = np.sort(self.windows.lengths)
        starts = np.arange(0, len(lengths), batch_size)
        longest = np.maximum.reduceat(lengths, starts)
        rows = np.diff(np.append(starts, len(lengths)))
        return float(1 - lengths.sum() / (longest * rows).sum())

    def batch(
        self,
        starts_B: Tensor,
        lengths_B: Tensor,
        counts_B: Tensor,
        lengths: np.ndarray,
        counts: np.ndarray,
        last_only: bool,
        **fields: Any,
    ) -> Batch:
        """`lengths` and `counts` are on the host; `fields` are those of the batch that are known already."""
        items_BT = self._read(starts_B, lengths_B, int(lengths.max()))
        if last_only:
            targets_R, positions_R = self.values[starts_B + lengths_B].long(), None
        else:
            R = int(counts.sum())
            row_R = torch.repeat_interleave(counts_B, output_size=R)
            time_R = torch.arange(R, device=self.device) + (lengths_B - counts_B.cumsum(0))[row_R]
            targets_R = self.values[starts_B[row_R] + time_R + 1].long()
            positions_R = row_R * items_BT.shape[1] + time_R
        return Batch(
            items_BT=items_BT,
            lengths_B=lengths_B,
            counts_B=counts_B,
            targets_R=targets_R,
            positions_R=positions_R,
            last_only=last_only,
            share=self.share,
            **fields,
        )

    def gather(self, chosen: np.ndarray) -> tuple[Tensor, Tensor]:
        """Items [B, T] and lengths [B] of the chosen windows, on the device."""
        lengths_B = self._put(self.windows.lengths[chosen])
        longest = int(self.windows.lengths[chosen].max())
        return self._read(self._put(self.windows.starts[chosen]), lengths_B, longest), lengths_B

    def _read(self, starts_B: Tensor, lengths_B: Tensor, longest: int) -> Tensor:
        """Items of windows, [B, longest], padded with 0."""
        time = torch.arange(longest, device=self.device)
        items_BT = self.values[(starts_B[:, None] + time).clamp_(max=len(self.values) - 1)]
        return torch.where(time < lengths_B[:, None], items_BT, 0).long()

    def _put(self, values: np.ndarray) -> Tensor:
        return torch.from_numpy(values).to(self.device)


def _without_targets(batch: Batch) -> Batch:
    """The same rows with nothing to predict: the loss is 0, but every weight takes part in it."""
    none = batch.targets_R[:0]
    return replace(batch, targets_R=none, positions_R=none, last_only=False)
