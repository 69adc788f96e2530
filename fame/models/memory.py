"""The memory facet: what followed the newest items in other histories, beside what a model's query finds.

Letters: B rows, T time, K newest items (places), W distances, V items, D width, E entries.

    score_v = z·x_v + a Σ_k (1/k) log(1 + C[u_k, v])

u_k is the k-th newest item of the history. C[u, v] sums 1/d over all pairs of the training parts in which v follows u
at a distance d ≤ W. Only the `FOLLOWERS` largest of each u are kept; the others are 0. So the facet is an attention
over the newest items whose values are rows of an item-item table.

The facet joins when items are ranked; training does not know it. Inside the softmax, and with weights that are learned
or depend on the query, it was no better (docs/log). The likelihood makes the weights five times too small for ranking.

`fame_memory` is FAME with one more facet, `sasrec_memory` its fair rival.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from fame.config import NotNegative
from fame.datasets.batches import Batch
from fame.models.base import EpochStart
from fame.models.baselines.transition import entries_of, transitions
from fame.models.fame import Fame, FameConfig
from fame.models.sasrec import SASRec, SASRecConfig
from fame.models.scoring import EVERY, Scorer, every
from fame.registry import models

PLACES = 5
"""K, newest items whose rows of the item-item table are read."""
WINDOW = 5
"""W, largest distance of a pair."""
FOLLOWERS = 2048
"""Most items v of an item u: those with the largest C. On dense data the table would grow with the square of the items."""
ROWS = 1 << 32
"""More rows than a batch has: an item and a row are the number item · ROWS + row."""
TABLE = ("offsets_V1", "items_E", "values_E")
"""Buffers whose size the data decide."""


@dataclass(frozen=True, kw_only=True)
class MemoryConfig(SASRecConfig):
    """Settings of the memory facet, beside the model's own."""

    memory: NotNegative = 2.0
    """a, the memory's amount; 0 is the model without it."""


class MemoryFacet(SASRec):
    """Puts the facet beside the query of a model; to be inherited from before the model's class."""

    named_facets: tuple[str, ...] = ("memory",)
    config: MemoryConfig
    item_count: int
    offsets_V1: Tensor
    items_E: Tensor
    values_E: Tensor

    def __init__(self, config: Any, item_count: int, max_length: int) -> None:
        super().__init__(config, item_count, max_length)
        self.register_buffer("offsets_V1", torch.zeros(item_count + 1, dtype=torch.int64))
        self.register_buffer("items_E", torch.zeros(0, dtype=torch.int32))
        self.register_buffer("values_E", torch.zeros(0))

    def _load_from_state_dict(self, state_dict: dict[str, Tensor], prefix: str, *args: Any) -> None:
        for name in TABLE if prefix + TABLE[0] in state_dict else ():  # a backbone has no table
            setattr(self, name, getattr(self, name).new_empty(state_dict[prefix + name].shape))
        super()._load_from_state_dict(state_dict, prefix, *args)

    def add_items(self, table_ND: Tensor) -> None:
        """Nothing has followed the new items yet, nor they anything."""
        super().add_items(table_ND)
        self.offsets_V1 = torch.cat([self.offsets_V1, self.offsets_V1[-1:].expand(len(table_ND))])

    def start_epoch(self, epoch: EpochStart) -> None:
        super().start_epoch(epoch)
        if self.config.memory and not len(self.items_E):
            V, device = self.item_count, self.offsets_V1.device
            pairs, counts = transitions(epoch.sequences, WINDOW, FOLLOWERS)
            self.offsets_V1 = torch.from_numpy(np.searchsorted(pairs, np.arange(V + 1) * V)).to(device)
            self.items_E = torch.from_numpy(pairs % V).to(self.items_E)
            self.values_E = torch.from_numpy(np.log1p(counts)).to(device)

    def queries(self, batch: Batch) -> Tensor:
        """The model's own queries, without the memory."""
        if batch.last_only:
            return super().encode(batch.items_BT, batch.lengths_B)
        return super().hidden(batch.items_BT, batch.lengths_B).flatten(0, 1)[batch.positions_R]

    def hidden(self, items_BT: Tensor, lengths_B: Tensor) -> Tensor:
        """`encode` of every position, [B, T, D + K]."""
        ends_T = torch.arange(items_BT.shape[1], device=items_BT.device) + 1
        place_TK, real_TK = places(ends_T)
        z_BTD = super().hidden(items_BT, lengths_B)
        return torch.cat([z_BTD, (items_BT[:, place_TK] * real_TK).to(z_BTD.dtype)], 2)

    def encode(self, items_BT: Tensor, lengths_B: Tensor) -> Tensor:
        """The model's query, and the newest items (0 where there are none), [B, D + K]."""
        place_BK, real_BK = places(lengths_B)
        z_BD = super().encode(items_BT, lengths_B)
        return torch.cat([z_BD, (items_BT.gather(1, place_BK) * real_BK).to(z_BD.dtype)], 1)

    def scorer(self) -> Scorer:
        return MemoryScorer(self.item_table(), self.config.memory, self.offsets_V1, self.items_E, self.values_E)

    def facet_queries(self, items_BT: Tensor, lengths_B: Tensor) -> tuple[Tensor, Tensor] | None:
        """Return the queries of the model's facets, and one of the memory, whose weight is 1."""
        found = super().facet_queries(items_BT, lengths_B)
        if found is None:
            return None
        queries_BHD, weights_BH = found
        B, H, D = queries_BHD.shape
        newest_BK = self.encode(items_BT, lengths_B)[:, D:]
        heads_BHQ = torch.cat([queries_BHD, queries_BHD.new_zeros(B, H, PLACES)], 2)
        memory_BQ = torch.cat([queries_BHD.new_zeros(B, D), newest_BK], 1)
        weights = torch.cat([weights_BH, weights_BH.new_ones(B, 1)], 1)
        return torch.cat([heads_BHQ, memory_BQ[:, None]], 1), weights

    def experts(self, items_BT: Tensor, lengths_B: Tensor) -> tuple[Tensor, Tensor] | None:
        """The memory's attention is 1/k over the newest items, the same for each of its experts."""
        found = super().experts(items_BT, lengths_B)
        if found is None:
            return None
        attention_BHNT, shares_BHN = found
        place_BK, real_BK = places(lengths_B)
        amounts_BK = real_BK / torch.arange(1, PLACES + 1, device=real_BK.device, dtype=attention_BHNT.dtype)
        memory_BT = attention_BHNT.new_zeros(items_BT.shape).scatter_add_(1, place_BK, amounts_BK)
        memory_B1NT = (memory_BT / memory_BT.sum(1, keepdim=True))[:, None, None].expand_as(attention_BHNT[:, :1])
        even_B1N = torch.full_like(shares_BHN[:, :1], 1 / shares_BHN.shape[2])
        return torch.cat([attention_BHNT, memory_B1NT], 1), torch.cat([shares_BHN, even_B1N], 1)


class MemoryScorer(Scorer):
    """z·x_v, and the memory's part, for queries of `MemoryFacet.encode`."""

    def __init__(self, table_VD: Tensor, amount: float, offsets_V1: Tensor, items_E: Tensor, values_E: Tensor) -> None:
        self.table_VD, self.item_count, self.amount = table_VD, len(table_VD), amount
        self.offsets_V1, self.items_E, self.values_E = offsets_V1, items_E, values_E
        self._asked: Tensor | None = None
        self._memory = (items_E[:0], items_E[:0], values_E[:0])

    def scores(self, queries_BD: Tensor, items: slice | Tensor = EVERY, out: Tensor | None = None) -> Tensor:
        scores_BC = torch.mm(queries_BD[:, :-PLACES], self.table_VD[items].T, out=out)
        row_E, item_E, value_E = self._of(queries_BD)
        if isinstance(items, slice):
            start, stop, _ = items.indices(self.item_count)
            part = EVERY
            if not every(items):
                ends = torch.tensor([start, stop], device=item_E.device)
                part = slice(*torch.searchsorted(item_E, ends).tolist())
            place = (row_E[part], item_E[part] - start)
            return scores_BC.index_put_(place, value_E[part].to(scores_BC.dtype), accumulate=True)
        asked_C, place_of_C = items.unique(return_inverse=True)
        place_E = torch.searchsorted(asked_C, item_E).clamp(max=len(asked_C) - 1)
        found_E = asked_C[place_E] == item_E
        part_BC = scores_BC.new_zeros(len(scores_BC), len(asked_C))
        part_BC[row_E[found_E], place_E[found_E]] = value_E[found_E].to(scores_BC.dtype)
        return scores_BC + part_BC[:, place_of_C]

    def finite(self, queries_BD: Tensor) -> Tensor:
        return (queries_BD[:, :-PLACES].norm(dim=1) * self.table_VD.norm(dim=1).max()).isfinite()

    def _of(self, queries_BD: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The memory's part of all scores: row, item and value, each place once, in order of items.

        It is kept for the next tile of the same queries.
        """
        if self._asked is not queries_BD:
            newest_BK = queries_BD[:, -PLACES:]
            row_R, k_R = (newest_BK > 0).nonzero(as_tuple=True)
            u_R = newest_BK[row_R, k_R].long() - 1
            which_E, entry_E = entries_of(self.offsets_V1, u_R)
            places_E, place_of_E = (self.items_E[entry_E].long() * ROWS + row_R[which_E]).unique(return_inverse=True)
            values_E = self.amount / (k_R[which_E] + 1).double() * self.values_E[entry_E]
            sums_E = values_E.new_zeros(places_E.shape[0]).index_add_(0, place_of_E, values_E)
            self._asked, self._memory = queries_BD, (places_E % ROWS, places_E // ROWS, sums_E)
        return self._memory


def places(lengths_R: Tensor) -> tuple[Tensor, Tensor]:
    """Where the newest items of rows of these lengths lie, [R, K], and whether they are there."""
    place_RK = lengths_R[:, None] - 1 - torch.arange(PLACES, device=lengths_R.device)
    return place_RK.clamp(min=0), place_RK >= 0


@dataclass(frozen=True, kw_only=True)
class FameMemoryConfig(MemoryConfig, FameConfig):
    """FAME with a memory facet."""

    name: Literal["fame_memory"] = "fame_memory"  # type: ignore[assignment]


@models.register("fame_memory")
class FameMemory(MemoryFacet, Fame):
    """FAME's facets, and one more that remembers what followed."""

    Config = FameMemoryConfig
    config: FameMemoryConfig


@dataclass(frozen=True, kw_only=True)
class SASRecMemoryConfig(MemoryConfig):
    """SASRec with a memory."""

    name: Literal["sasrec_memory"] = "sasrec_memory"  # type: ignore[assignment]


@models.register("sasrec_memory")
class SASRecMemory(MemoryFacet):
    """The fair rival of `fame_memory`: SASRec's query, and the same memory."""

    Config = SASRecMemoryConfig
    config: SASRecMemoryConfig
