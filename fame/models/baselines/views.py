"""Random views of a sequence: a part of it, with items hidden, or with items in another order.

Letters: B rows, T time. Rows are padded on the right with 0; numbers are uniform in [0, 1). What is computed from a
length L and a share is ⌊share · L⌋ items.
"""

from __future__ import annotations

import torch
from torch import Tensor


def crop(items_BT: Tensor, lengths_B: Tensor, share: float, place_B: Tensor) -> tuple[Tensor, Tensor]:
    """⌊ηL⌋ items in a row, at least one, from a random place on: items [B, T] and lengths [B]."""
    kept_B = _part(lengths_B, share).clamp(min=1)
    time = torch.arange(items_BT.shape[1], device=items_BT.device)
    source_BT = (_start(lengths_B, kept_B, place_B)[:, None] + time).clamp(max=items_BT.shape[1] - 1)
    return torch.where(time < kept_B[:, None], items_BT.gather(1, source_BT), 0), kept_B


def mask(items_BT: Tensor, lengths_B: Tensor, share: float, noise_BT: Tensor, mask_item: int) -> Tensor:
    """⌊γL⌋ random items replaced by `mask_item`, [B, T]."""
    time = torch.arange(items_BT.shape[1], device=items_BT.device)
    rank_BT = noise_BT.masked_fill(time >= lengths_B[:, None], 2.0).argsort(1).argsort(1)
    return items_BT.masked_fill(rank_BT < _part(lengths_B, share)[:, None], mask_item)


def reorder(items_BT: Tensor, lengths_B: Tensor, share: float, place_B: Tensor, noise_BT: Tensor) -> Tensor:
    """⌊βL⌋ items in a row, from a random place on, in random order, [B, T]."""
    moved_B = _part(lengths_B, share)
    start_B1 = _start(lengths_B, moved_B, place_B)[:, None]
    time = torch.arange(items_BT.shape[1], device=items_BT.device)
    inside_BT = (time >= start_B1) & (time < start_B1 + moved_B[:, None])
    # Keys between those of the items before and after.
    keys_BT = torch.where(inside_BT, start_B1 + noise_BT * moved_B[:, None], time)
    return items_BT.gather(1, keys_BT.argsort(dim=1, stable=True))


def _part(lengths_B: Tensor, share: float) -> Tensor:
    return (lengths_B.double() * share).long()


def _start(lengths_B: Tensor, part_B: Tensor, place_B: Tensor) -> Tensor:
    """Where a part begins, each possible place being as likely."""
    return (place_B.double() * (lengths_B - part_B + 1)).long()
