"""Vectors of labels: what the items of one brand or category have in common.

Letters: V items, M most labels of an item, L labels, E pairs of an item and a label, D width.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable


class LabelEmbedding(nn.Module):
    """An item's part Σ_l u_l over its labels l, with a learned u_l in R^D each.

    Rare and new items so get a place beside those that are like them. The labels are a buffer: an exported model
    needs no item table.
    """

    def __init__(self, item_count: int, dim: int) -> None:
        super().__init__()
        self.register_buffer("numbers_VM", torch.zeros(item_count + 1, 1, dtype=torch.int64))
        """Labels of each item number, from 1; 0 is none."""
        self.weight = nn.Parameter(torch.zeros(1, dim))
        """u, after a row of zeros for none, [1 + L, D]."""
        self._items_of: tuple[Tensor, Tensor] | None = None

    @torch.no_grad()
    def start(self, labels_VM: np.ndarray, std: float) -> None:
        """Begin with these labels of items 1 to V (numbers from 1, 0 for none) and random vectors."""
        self.numbers_VM = F.pad(torch.from_numpy(labels_VM), (0, 0, 1, 0))
        weight = torch.empty(int(labels_VM.max()) + 1, self.weight.shape[1]).normal_(std=std)
        weight[0] = 0
        self.weight, self._items_of = nn.Parameter(weight), None

    def add_items(self, count: int) -> None:
        """Know so many more items, without labels."""
        self.numbers_VM, self._items_of = F.pad(self.numbers_VM, (0, 0, 0, count)), None

    def forward(self, items: Tensor) -> Tensor:
        """The part of item numbers, [..., D]."""
        numbers_RM = self.numbers_VM[items.flatten()]
        return F.embedding_bag(numbers_RM, self.weight, mode="sum", padding_idx=0).view(
            *items.shape, self.weight.shape[1]
        )

    def table(self) -> Tensor:
        """The part of all items, [V, D]."""
        if self._items_of is None or self._items_of[0].device != self.weight.device:
            item_E, column_E = self.numbers_VM[1:].nonzero(as_tuple=True)
            label_E, order_E = self.numbers_VM[1:][item_E, column_E].sort(stable=True)
            starts_L = torch.searchsorted(label_E, torch.arange(len(self.weight), device=label_E.device))
            self._items_of = item_E[order_E], starts_L
        return _Table.apply(self.weight, self.numbers_VM[1:], *self._items_of)

    def _load_from_state_dict(self, state_dict: dict[str, Tensor], prefix: str, *args: Any) -> None:
        # How many labels there are is known by the data and by weights, and not by the settings.
        if prefix + "weight" in state_dict:
            self.numbers_VM = self.numbers_VM.new_empty(state_dict[prefix + "numbers_VM"].shape)
            if self.weight.shape != state_dict[prefix + "weight"].shape:
                self.weight = nn.Parameter(self.weight.new_empty(state_dict[prefix + "weight"].shape))
            self._items_of = None
        super()._load_from_state_dict(state_dict, prefix, *args)


class _Table(torch.autograd.Function):
    """`embedding_bag` of all items, whose gradient is another one over the items of each label.

    torch's own gradient takes ten times as long as the sum.
    """

    @staticmethod
    def forward(ctx: Any, weight_LD: Tensor, numbers_VM: Tensor, items_E: Tensor, starts_L: Tensor) -> Tensor:
        ctx.save_for_backward(items_E, starts_L)
        return F.embedding_bag(numbers_VM, weight_LD, mode="sum")

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_VD: Tensor) -> tuple[Tensor, None, None, None]:
        items_E, starts_L = ctx.saved_tensors
        return F.embedding_bag(items_E, grad_VD.contiguous(), starts_L, mode="sum"), None, None, None
