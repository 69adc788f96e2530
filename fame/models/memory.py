"""The memory facet: what followed the newest items in other histories, beside what a model's query finds.

Letters: B rows, R predicted positions, K newest items (places), W distances, V items, D width, E entries, P interactions.

    score_v = z·x_v + Σ_k a_k log(1 + C[u_k, v]),   a_k = exp(θ_k + (z W_m + b_m)_k)

u_k is the k-th newest item of the history. C[u, v] sums 1/d over all pairs of the training parts in which v follows u at
a distance d ≤ W. So the facet is an attention over the newest items whose values are rows of an item-item table in
place of vectors. a_k starts as `memory_start`/k. By default it stays there, and the memory joins after training:
likelihood makes a_k five times smaller than ranking wants them (docs/log). The search tunes `memory_start` by the
validation metric.

In training the pairs that the row itself has brought into C are taken out of it. Otherwise a_k would grow without limit.

It goes with any model of this project that has a query for each position: `fame_memory` is FAME with one more facet.
`sasrec_memory` is its fair rival.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from fame.config import ModelConfig, TrainConfig, require
from fame.datasets.batches import Batch
from fame.datasets.sequences import HELD_OUT, Sequences
from fame.losses.objective import Objective, Softmax
from fame.losses.softmax import SparseScores
from fame.models.base import EXACT, EpochStart
from fame.models.baselines.transition import transitions
from fame.models.fame import Fame, FameConfig
from fame.models.sasrec import SASRec, SASRecConfig
from fame.models.scoring import EVERY, Scorer
from fame.registry import models

WINDOW = 5
"""W, largest distance of a pair."""
TABLE = ("offsets_V1", "items_E", "values_E")
"""Buffers whose size the data decide."""


@dataclass(frozen=True, kw_only=True)
class MemoryConfig(ModelConfig):
    """What a model with a memory facet has beside its own settings."""

    memory_places: int = 5
    """K, newest items whose rows of the item-item table are read."""
    memory_weights: Literal["after", "fixed", "learned", "gated"] = "after"
    """The memory joins when items are ranked (`after`), or in training too: a_k stay as they start, are learned
    constants, or are learned and depend on the query."""
    memory_start: float = 1.5
    """Start of a_1; a_k starts at a k-th of it."""

    def __post_init__(self) -> None:
        super().__post_init__()  # type: ignore[misc]  # of the model's own configuration, which comes next
        require(self.memory_places >= 1, "model.memory_places", self.memory_places, "must be at least 1")
        require(self.memory_start > 0, "model.memory_start", self.memory_start, "must be positive")

    def check_training(self, train: TrainConfig) -> None:
        super().check_training(train)
        require(train.loss == "softmax", "train.loss", train.loss, "has no memory facet; use softmax")


class MemoryFacet:
    """Puts the facet beside the query of a model; to be inherited from before the model's class."""

    named_facets = ("memory",)

    def __init__(self, config: Any, item_count: int, max_length: int) -> None:
        super().__init__(config, item_count, max_length)
        K = config.memory_places
        self.register_buffer("offsets_V1", torch.zeros(item_count + 1, dtype=torch.int64))
        self.register_buffer("items_E", torch.zeros(0, dtype=torch.int64))
        self.register_buffer("values_E", torch.zeros(0))
        start_K = (config.memory_start / torch.arange(1, K + 1)).log()
        self.memory_places = nn.Parameter(start_K, requires_grad=config.memory_weights in ("learned", "gated"))
        self.memory_gate = nn.Linear(config.dim, K) if config.memory_weights == "gated" else None
        if self.memory_gate is not None:
            nn.init.zeros_(self.memory_gate.weight)
            nn.init.zeros_(self.memory_gate.bias)
        self.own: OwnPairs | None = None

    def _load_from_state_dict(self, state_dict: dict[str, Tensor], prefix: str, *args: Any) -> None:
        for name in TABLE if prefix + TABLE[0] in state_dict else ():  # a backbone has no table
            setattr(self, name, getattr(self, name).new_empty(state_dict[prefix + name].shape))
        super()._load_from_state_dict(state_dict, prefix, *args)

    def start_epoch(self, epoch: EpochStart) -> None:
        super().start_epoch(epoch)
        if self.own is None:
            offsets, items, counts = followers(epoch.sequences)
            device = self.offsets_V1.device
            self.offsets_V1 = torch.from_numpy(offsets).to(device)
            self.items_E = torch.from_numpy(items).to(device)
            self.values_E = torch.from_numpy(np.log1p(counts)).to(device)
            self.own = OwnPairs(epoch.sequences, offsets, items, counts, epoch.batcher.windows.starts, device)

    def forward(self, batch: Batch, objective: Objective = EXACT) -> Tensor:
        assert isinstance(objective, Softmax)
        z_RD = self.queries(batch)
        if self.config.memory_weights == "after":
            return objective(self, z_RD, batch.targets_R)
        return objective(self, z_RD, batch.targets_R, self._added(batch, z_RD))

    def queries(self, batch: Batch) -> Tensor:
        """The model's own queries, without the memory."""
        if batch.last_only:
            return super().encode(batch.items_BT, batch.lengths_B)
        return super().hidden(batch.items_BT, batch.lengths_B).flatten(0, 1)[batch.positions_R]

    def hidden(self, items_BT: Tensor, lengths_B: Tensor) -> Tensor:
        """`encode` of every position, [B, T, D + 2·K]."""
        z_BTD = super().hidden(items_BT, lengths_B)
        amounts_BTK = self._amounts(z_BTD.flatten(0, 1)).view(*items_BT.shape, -1)
        ends_T = torch.arange(items_BT.shape[1], device=items_BT.device) + 1
        place_TK, real_TK = places(ends_T, amounts_BTK.shape[2])
        newest_BTK = items_BT[:, place_TK] * real_TK
        return torch.cat([z_BTD, amounts_BTK, newest_BTK.to(z_BTD.dtype)], 2)

    def encode(self, items_BT: Tensor, lengths_B: Tensor) -> Tensor:
        """The model's query, the weights a_k and the items u_k (0 where there are none), [B, D + 2·K]."""
        return self._with_memory(super().encode(items_BT, lengths_B), items_BT, lengths_B)

    def scorer(self) -> Scorer:
        return MemoryScorer(self.item_table(), self.offsets_V1, self.items_E, self.values_E)

    def facet_queries(self, items_BT: Tensor, lengths_B: Tensor) -> tuple[Tensor, Tensor] | None:
        """Those of the model's facets, and one of the memory, whose weight is 1."""
        found = super().facet_queries(items_BT, lengths_B)
        if found is None:
            return None
        queries_BHD, weights_BH = found
        whole_BQ = self.encode(items_BT, lengths_B)
        D = queries_BHD.shape[2]
        heads_BHQ = torch.cat([queries_BHD, whole_BQ.new_zeros(*queries_BHD.shape[:2], whole_BQ.shape[1] - D)], 2)
        memory_B1Q = torch.cat([torch.zeros_like(whole_BQ[:, :D]), whole_BQ[:, D:]], 1)[:, None]
        return torch.cat([heads_BHQ, memory_B1Q], 1), torch.cat(
            [weights_BH, weights_BH.new_ones(len(weights_BH), 1)], 1
        )

    def experts(self, items_BT: Tensor, lengths_B: Tensor) -> tuple[Tensor, Tensor] | None:
        """The memory's attention is a_k over the newest items, the same for each of its experts."""
        found = super().experts(items_BT, lengths_B)
        if found is None:
            return None
        attention_BHNT, shares_BHN = found
        amounts_BK = self._amounts(super().encode(items_BT, lengths_B))
        place_BK, real_BK = places(lengths_B, amounts_BK.shape[1])
        memory_BT = attention_BHNT.new_zeros(items_BT.shape).scatter_add_(1, place_BK, amounts_BK * real_BK)
        memory_B1NT = (memory_BT / memory_BT.sum(1, keepdim=True))[:, None, None].expand_as(attention_BHNT[:, :1])
        even_B1N = torch.full_like(shares_BHN[:, :1], 1 / shares_BHN.shape[2])
        return torch.cat([attention_BHNT, memory_B1NT], 1), torch.cat([shares_BHN, even_B1N], 1)

    def _amounts(self, z_RD: Tensor) -> Tensor:
        """a_k, [R, K]."""
        logits = self.memory_places if self.memory_gate is None else self.memory_places + self.memory_gate(z_RD)
        return logits.exp().expand(len(z_RD), -1)

    def _with_memory(self, z_BD: Tensor, items_BT: Tensor, lengths_B: Tensor) -> Tensor:
        amounts_BK = self._amounts(z_BD)
        place_BK, real_BK = places(lengths_B, amounts_BK.shape[1])
        newest_BK = items_BT.gather(1, place_BK) * real_BK
        return torch.cat([z_BD, amounts_BK, newest_BK.to(z_BD.dtype)], 1)

    def _added(self, batch: Batch, z_RD: Tensor) -> SparseScores:
        """The facet's part of the scores of a training batch, without the row's own pairs."""
        T = batch.items_BT.shape[1]
        if batch.last_only:
            row_R, time_R = torch.arange(len(z_RD), device=z_RD.device), batch.lengths_B[: len(z_RD)] - 1
        else:
            row_R, time_R = batch.positions_R // T, batch.positions_R % T
        amounts_RK = self._amounts(z_RD)
        place_RK, real_RK = places(time_R + 1, amounts_RK.shape[1])
        u_RK = batch.items_BT[row_R[:, None], place_RK]
        pair_E, item_E, value_E = table_rows(u_RK[real_RK] - 1, self.offsets_V1, self.items_E, self.values_E)
        (which,) = real_RK.flatten().nonzero(as_tuple=True)  # (row, place) of each row of the table that is read
        which_E = which[pair_E]
        if self.own is not None and self.training:
            pair_O, item_O, value_O = self.own.corrections(batch, row_R, place_RK, real_RK)
            which_E, item_E = torch.cat([which_E, which[pair_O]]), torch.cat([item_E, item_O])
            value_E = torch.cat([value_E, value_O])
            order = which_E.argsort(stable=True)
            which_E, item_E, value_E = which_E[order], item_E[order], value_E[order]
        K = amounts_RK.shape[1]
        return SparseScores(row_E=which_E // K, item_E=item_E, value_E=amounts_RK.flatten()[which_E] * value_E)


class OwnPairs:
    """What a training row's own interactions have brought into the table, to be taken out again."""

    def __init__(
        self,
        sequences: Sequences,
        offsets: np.ndarray,
        items: np.ndarray,
        counts: np.ndarray,
        starts: np.ndarray,
        device: torch.device,
    ) -> None:
        values = sequences.values.astype(np.int64) - 1
        left = items_left(sequences)
        keys = np.repeat(np.arange(sequences.item_count), np.diff(offsets)) * sequences.item_count + items
        later_PW = np.zeros((len(values), WINDOW), np.int64)
        change_PW = np.zeros((len(values), WINDOW), np.float32)
        for d in range(1, WINDOW + 1):
            (first,) = np.nonzero(left > d)
            count = counts[np.searchsorted(keys, values[first] * sequences.item_count + values[first + d])]
            later_PW[first, d - 1] = values[first + d]
            change_PW[first, d - 1] = np.log1p(np.maximum(count - np.float32(1 / d), 0)) - np.log1p(count)
        self.later_PW, self.change_PW = torch.from_numpy(later_PW).to(device), torch.from_numpy(change_PW).to(device)
        self.starts_M = torch.from_numpy(starts).to(device)

    def corrections(
        self, batch: Batch, row_R: Tensor, place_RK: Tensor, real_RK: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Of every (row, place) that is real, in order: its number, the item and what is added to log(1 + C)."""
        starts_B = self.starts_M[torch.from_numpy(batch.windows).to(self.starts_M.device)]
        at = (starts_B[row_R][:, None] + place_RK)[real_RK]
        pair = torch.arange(len(at), device=at.device).repeat_interleave(WINDOW)
        return pair, self.later_PW[at].flatten(), self.change_PW[at].flatten()


class MemoryScorer(Scorer):
    """z·x_v, and the memory's part, for queries of `MemoryFacet.encode`."""

    def __init__(self, table_VD: Tensor, offsets_V1: Tensor, items_E: Tensor, values_E: Tensor) -> None:
        self.table_VD, self.item_count = table_VD, len(table_VD)
        self.rows = (offsets_V1, items_E, values_E)
        self._asked: Tensor | None = None
        self._memory = SparseScores(row_E=items_E[:0], item_E=items_E[:0], value_E=values_E[:0])

    def scores(self, queries_BD: Tensor, items: slice | Tensor = EVERY, out: Tensor | None = None) -> Tensor:
        D, memory = self.table_VD.shape[1], self._of(queries_BD)
        scores_BC = torch.mm(queries_BD[:, :D], self.table_VD[items].T, out=out)
        if isinstance(items, slice):
            start, stop, _ = items.indices(self.item_count)
            part = slice(
                *torch.searchsorted(memory.item_E, torch.tensor([start, stop], device=scores_BC.device)).tolist()
            )
            row_E, column_E = memory.row_E[part], memory.item_E[part] - start
            return scores_BC.index_put_((row_E, column_E), memory.value_E[part].to(scores_BC.dtype), accumulate=True)
        asked_C, place_of_C = items.unique(return_inverse=True)
        place_E = torch.searchsorted(asked_C, memory.item_E).clamp(max=len(asked_C) - 1)
        found_E = asked_C[place_E] == memory.item_E
        part_BC = scores_BC.new_zeros(len(scores_BC), len(asked_C))
        part_BC[memory.row_E[found_E], place_E[found_E]] = memory.value_E[found_E].to(scores_BC.dtype)
        return scores_BC + part_BC[:, place_of_C]

    def finite(self, queries_BD: Tensor) -> Tensor:
        D = self.table_VD.shape[1]
        largest = self.table_VD.norm(dim=1).max()
        return (queries_BD[:, :D].norm(dim=1) * largest).isfinite() & queries_BD[:, D:].isfinite().all(1)

    def _of(self, queries_BD: Tensor) -> SparseScores:
        """The memory's part of all items' scores, one entry for each place, in order of items; kept for the next tile."""
        if self._asked is not queries_BD:
            D = self.table_VD.shape[1]
            amounts_BK, newest_BK = queries_BD[:, D:].chunk(2, dim=1)
            real_BK = newest_BK > 0
            pair_E, item_E, value_E = table_rows(newest_BK[real_BK].long() - 1, *self.rows)
            (row,) = real_BK.nonzero(as_tuple=True)[:1]
            places_E, which_E = (item_E * len(queries_BD) + row[pair_E]).unique(return_inverse=True)
            sums = value_E.new_zeros(len(places_E), dtype=torch.float64)
            sums.index_add_(0, which_E, (amounts_BK[real_BK][pair_E] * value_E).double())
            self._asked = queries_BD
            self._memory = SparseScores(
                row_E=places_E % len(queries_BD), item_E=places_E // len(queries_BD), value_E=sums.to(value_E.dtype)
            )
        return self._memory


def places(lengths_R: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Where the newest `count` items of rows of these lengths lie, [R, K], and whether they are there."""
    place_RK = lengths_R[:, None] - 1 - torch.arange(count, device=lengths_R.device)
    return place_RK.clamp(min=0), place_RK >= 0


def table_rows(u: Tensor, offsets_V1: Tensor, items_E: Tensor, values_E: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Rows of the table one after the other: number of the row in `u`, item and value of each entry."""
    length = offsets_V1[u + 1] - offsets_V1[u]
    number_E = torch.repeat_interleave(length)
    within_E = torch.arange(len(number_E), device=u.device) - (length.cumsum(0) - length)[number_E]
    entry_E = offsets_V1[u][number_E] + within_E
    return number_E, items_E[entry_E], values_E[entry_E]


def items_left(sequences: Sequences) -> np.ndarray:
    """Of every interaction, how many of its user's training part are from it on, [P]; not positive in the held-out part."""
    return np.repeat(sequences.offsets[1:] - HELD_OUT, sequences.lengths) - np.arange(len(sequences.values))


def followers(sequences: Sequences) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The item-item table by rows: offsets [V + 1], and the items and counts of each row's entries in order of items."""
    pairs, counts = transitions(sequences, WINDOW)
    offsets = np.searchsorted(pairs, np.arange(sequences.item_count + 1) * sequences.item_count)
    return offsets.astype(np.int64), pairs % sequences.item_count, counts


@dataclass(frozen=True, kw_only=True)
class FameMemoryConfig(MemoryConfig, FameConfig):
    """FAME with a memory facet."""

    name: Literal["fame_memory"] = "fame_memory"  # type: ignore[assignment]


@models.register("fame_memory")
class FameMemory(MemoryFacet, Fame):
    """FAME's facets, and one more that remembers what followed."""

    Config = FameMemoryConfig


@dataclass(frozen=True, kw_only=True)
class SASRecMemoryConfig(MemoryConfig, SASRecConfig):
    """SASRec with a memory."""

    name: Literal["sasrec_memory"] = "sasrec_memory"  # type: ignore[assignment]


@models.register("sasrec_memory")
class SASRecMemory(MemoryFacet, SASRec):
    """The fair rival of `fame_memory`: SASRec's query, and the same memory."""

    Config = SASRecMemoryConfig
