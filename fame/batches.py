"""Batches of windows, formed on the device by indexing.

Letters: B batch, T time, R predicted positions.

The interactions (`Sequences.values`, a few megabytes) are put on the device once; a batch is a gather
from them. Windows of similar length go together, so that padding stays at a few per cent.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from fame.sequences import Sequences, Windows

Share = tuple[int, int]
"""(rank, size): this process takes every `size`-th row, beginning with row `rank`."""


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Rows of items, padded on the right with 0, and the targets to predict from them."""

    items_BT: Tensor
    """int64 item numbers."""
    lengths_B: Tensor
    """int64, number of real items of each row, at least 1."""
    targets_R: Tensor
    """int64 item numbers; with `last_only` R = B, one target for the last position of each row."""
    positions_R: Tensor | None
    """int64, where each target belongs in the flattened [B·T] rows; None with `last_only`."""
    last_only: bool
    target_count: int
    """Targets of the whole batch, over all workers."""


def device_values(sequences: Sequences, device: torch.device) -> Tensor:
    """`sequences.values` on a device, int32 [P]: made once, read by every batcher."""
    return torch.from_numpy(np.array(sequences.values)).to(device)


class Batcher:
    """Forms batches of windows of `values` (`device_values`), on its device.

    share: with several workers each takes its rows of every batch, so that a batch means the same
    however many there are.
    """

    def __init__(self, values: Tensor, windows: Windows, share: Share = (0, 1)) -> None:
        self.values, self.windows, self.share = values, windows, share
        self.device = values.device

    def epoch(self, batch_size: int, last_only: bool, generator: np.random.Generator) -> Iterator[Batch]:
        """Batches of one epoch, in random order: every window once.

        Windows are sorted by length, those of equal length at random, cut into batches, and the batches
        shuffled. With several workers the last rows of a batch may leave a worker without any; it then
        repeats a row with no target.
        """
        lengths = self.windows.lengths
        order = np.lexsort((generator.random(len(lengths)), lengths))
        starts = np.arange(0, len(order), batch_size)
        for start in generator.permutation(starts):
            yield self._batch(order[start : start + batch_size], last_only)

    def padding(self, batch_size: int) -> float:
        """Share of padded positions in the batches of an epoch."""
        lengths = np.sort(self.windows.lengths)
        starts = np.arange(0, len(lengths), batch_size)
        longest = np.maximum.reduceat(lengths, starts)
        rows = np.diff(np.append(starts, len(lengths)))
        return float(1 - lengths.sum() / (longest * rows).sum())

    def _batch(self, chosen: np.ndarray, last_only: bool) -> Batch:
        target_count = len(chosen) if last_only else int(self.windows.lengths[chosen].sum())
        rank, size = self.share
        mine = chosen[rank::size]
        has_rows = len(mine) > 0
        mine = mine if has_rows else chosen[:1]
        items_BT, starts_B, lengths_B = self.gather(mine)
        if last_only:
            targets_R, positions_R = self.values[starts_B + lengths_B].long(), None
        else:
            time = torch.arange(items_BT.shape[1], device=self.device)
            positions_R = (time < lengths_B[:, None]).flatten().nonzero()[:, 0]
            targets_R = self.values[(starts_B[:, None] + time).flatten()[positions_R] + 1].long()
        batch = Batch(
            items_BT=items_BT,
            lengths_B=lengths_B,
            targets_R=targets_R,
            positions_R=positions_R,
            last_only=last_only,
            target_count=target_count,
        )
        return batch if has_rows else _without_targets(batch)

    def gather(self, chosen: np.ndarray) -> tuple[Tensor, Tensor, Tensor]:
        """Items [B, T], starts [B] and lengths [B] of the chosen windows, on the device."""
        lengths = self.windows.lengths[chosen]
        time = torch.arange(int(lengths.max()), device=self.device)
        starts_B = torch.from_numpy(self.windows.starts[chosen]).to(self.device)
        lengths_B = torch.from_numpy(lengths).to(self.device)
        inside = time < lengths_B[:, None]
        items_BT = torch.where(inside, self.values[(starts_B[:, None] + time).clamp(max=len(self.values) - 1)], 0)
        return items_BT.long(), starts_B, lengths_B


def _without_targets(batch: Batch) -> Batch:
    """The same rows with nothing to predict: the loss is 0, but every weight takes part in it."""
    none = batch.targets_R[:0]
    return Batch(
        items_BT=batch.items_BT,
        lengths_B=batch.lengths_B,
        targets_R=none,
        positions_R=none,
        last_only=False,
        target_count=batch.target_count,
    )
