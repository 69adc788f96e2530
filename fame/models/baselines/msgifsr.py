"""MSGIFSR: a session as a graph of units of several items (Guo et al., WSDM 2022, arXiv 2112.13197).

Letters: B batch, T time, S time of a message's source, D model width, K levels, H heads, V items.

A unit of level k is k items in a row, in their order; units that occur again are one node. Level 1 are the items.

    e_u = (mean of x_v, v in u) / 2 + GRU_k(x_v, v in u) / 2           for k > 1, of length 1
    edges: within a level, from each unit to the one that begins an item later; between levels, from an item
           to the units that begin after it, and from a unit to the item after it
    h'_u = mean of the level's h + Σ_r GAT_r(h, u)                        r: each kind of edge into u's level, both ways
    g_k = Σ_u softmax_u(w_k · σ(U_k h_u + V_k h_{last unit of level k})) h_u          u: units of all levels
    z_k = W_k [h_{last unit of level k} ‖ g_k]
    p_v = Σ_k a_k softmax_v(cos(z_k, x_v) / τ),   a = softmax of one learned number for each level  (intent fusion)

GAT_r(h, u) = W'_r h_u + Σ_{u' → u} softmax_{u'}(LeakyReLU(c_r · W_r h_u + d_r · W_r h_{u'})) W_r h_{u'}, for each head.
Kinds of edges within a level have their own weights, those between levels share them, each way its own.

The score of an item is log p_v, a mixture of softmaxes and no dot product (`fame.models.baselines.mixture`).

What differs:

- Heads are D/H wide and lie side by side; the authors' code has 8 heads of width D, and takes the highest: 8 times the cost.
- A session with fewer than k items has no unit of level k, and a is the softmax over the levels that it has. The
  authors' code makes up a unit of repeated items.
- There is no split of p_v into items in and out of the session ("repeat-explore"). Rankings leave the history's items
  out by default here. Then only a weight of each level, which depends on the session, would remain of the split.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fame.config import Count, Positive, Rate, TrainConfig, require
from fame.datasets.batches import Batch
from fame.losses.objective import Objective, Softmax
from fame.losses.softmax import product_dtype
from fame.models.base import EXACT, PrefixModel
from fame.models.baselines.cosine import CosineConfig, CosineModel
from fame.models.baselines.mixture import MixtureScorer, mixture_cross_entropy, split_queries
from fame.models.layers.dropout import Dropout
from fame.models.scoring import Scorer
from fame.registry import models

LOWEST = -1e4
"""Stands for log 0 where −∞ would have no gradient, or would count as a score that is not finite."""


@dataclass(frozen=True, kw_only=True)
class MsgifsrConfig(CosineConfig):
    """MSGIFSR (WSDM 2022): a graph of units of one to several items."""

    name: Literal["msgifsr"] = "msgifsr"
    levels: Count = 3
    """K, the most items of a unit."""
    layers: Count = 1
    """Rounds of messages."""
    heads: Count = 2
    """H, heads of the messages' attention; divides D."""
    graph_dropout: Rate = 0.1
    """Dropout of what messages are made from, and of their weights."""
    item_dropout: Rate = 0.0
    temperature: Positive = 1 / 12

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.dim % self.heads == 0, "model.heads", self.heads, f"must divide model.dim = {self.dim}")

    def check_training(self, train: TrainConfig) -> None:
        rule = "a mixture of softmaxes over the catalogue is learned by the plain train.loss = softmax"
        train.require_plain_softmax(rule)


class UnitGraph:
    """Nodes and edges of a batch of sessions. Node t of level k is the unit that begins at position t."""

    def __init__(self, items_BT: Tensor, lengths_B: Tensor, levels: int) -> None:
        time = torch.arange(items_BT.shape[1], device=items_BT.device)
        self.nodes: list[Tensor] = []
        """Return, for each level, whether a unit occurs at a position for the first time, bool [B, T]."""
        self.last: list[Tensor] = []
        """The node of the last unit of each level, [B]; any where there is none."""
        firsts, same_BTT = [], torch.ones(1, device=items_BT.device).bool()
        for k in range(1, levels + 1):
            nth_BT = F.pad(items_BT, (0, k - 1))[:, k - 1 :]
            same_BTT = same_BTT & (nth_BT[:, :, None] == nth_BT[:, None])
            exists_BT = time <= (lengths_B[:, None] - k)
            # An earlier unit is complete wherever a later one is.
            first_BT = same_BTT.int().argmax(2)
            firsts.append(first_BT)
            self.nodes.append(exists_BT & (first_BT == time))
            self.last.append(first_BT.gather(1, (lengths_B - k).clamp(min=0)[:, None])[:, 0])
        sizes = range(1, levels + 1)
        within = [self._edges(first, first, 1, lengths_B, k) for k, first in zip(sizes, firsts, strict=True)]
        into = [self._edges(firsts[0], first, 1, lengths_B, k) for k, first in zip(sizes, firsts, strict=True)]
        out_of = [self._edges(first, firsts[0], k, lengths_B, 1) for k, first in zip(sizes, firsts, strict=True)]
        self.within = within, turned(within)
        """Edges within each level, as they are and turned round; bool [B, T, S], from source S to target T."""
        self.to_units = into, turned(out_of)
        """Edges from items to the units of each level: those that begin after them, or end before them."""
        self.to_items = out_of, turned(into)
        """Edges from the units of each level to the items after them, or before them."""

    @staticmethod
    def _edges(from_BT: Tensor, to_BT: Tensor, distance: int, lengths_B: Tensor, size: int) -> Tensor:
        """Edges from what begins at t to what begins at t + distance and has `size` items."""
        B, T = from_BT.shape
        edges = torch.zeros(B, T * T, dtype=torch.uint8, device=from_BT.device)
        if distance < T:
            begins = torch.arange(distance, T, device=from_BT.device)
            exists = begins + size <= lengths_B[:, None]
            places = to_BT[:, distance:] * T + from_BT[:, : T - distance]
            edges.scatter_reduce_(1, places, exists.to(edges.dtype), "amax")
        return edges.view(B, T, T).bool()


class GraphAttention(nn.Module):
    """Messages along one kind of edge, with the target's own part."""

    def __init__(self, dim: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.value, self.own = nn.Linear(dim, dim, bias=False), nn.Linear(dim, dim)
        self.source = nn.Parameter(torch.randn(heads, dim // heads) * dim**-0.5)
        self.target = nn.Parameter(torch.randn(heads, dim // heads) * dim**-0.5)
        self.dropout = Dropout(dropout)

    def forward(self, source_BSD: Tensor, target_BTD: Tensor, edges_BTS: Tensor) -> Tensor:
        source_BSD, target_BTD = self.dropout(source_BSD), self.dropout(target_BTD)
        source_BSHK = self.value(source_BSD).unflatten(2, (self.heads, -1))
        target_BTHK = self.value(target_BTD).unflatten(2, (self.heads, -1))
        votes_BHS = (source_BSHK * self.source).sum(-1).transpose(1, 2)
        votes_BHT = (target_BTHK * self.target).sum(-1).transpose(1, 2)
        scores_BHTS = F.leaky_relu(votes_BHT[..., None] + votes_BHS[:, :, None], 0.2)
        edges_B1TS = edges_BTS[:, None]
        weights_BHTS = scores_BHTS.masked_fill(~edges_B1TS, LOWEST).softmax(-1) * edges_B1TS
        messages_BHTK = self.dropout(weights_BHTS) @ source_BSHK.transpose(1, 2)
        return messages_BHTK.transpose(1, 2).flatten(2) + self.own(target_BTD)


class GraphLayer(nn.Module):
    """One round of messages along all edges, both ways."""

    def __init__(self, config: MsgifsrConfig) -> None:
        super().__init__()
        settings = (config.dim, config.heads, config.graph_dropout)
        self.within = nn.ModuleList(GraphAttention(*settings) for _ in range(2 * config.levels))
        self.between = nn.ModuleList(GraphAttention(*settings) for _ in range(2))

    def forward(self, h: list[Tensor], graph: UnitGraph) -> list[Tensor]:
        """New features of the nodes of each level, [B, T, D]."""
        out = []
        for level, (h_BTD, nodes_BT) in enumerate(zip(h, graph.nodes, strict=True)):
            count_B1 = nodes_BT.sum(1, keepdim=True).clamp(min=1)
            out.append((nodes_BT.to(h_BTD) / count_B1)[:, None] @ h_BTD)
            for way in range(2):
                out[level] = out[level] + self.within[2 * level + way](h_BTD, h_BTD, graph.within[way][level])
        for way, between in enumerate(self.between):
            for level in range(1, len(h)):
                out[level] = out[level] + between(h[0], h[level], graph.to_units[way][level])
                out[0] = out[0] + between(h[level], h[0], graph.to_items[way][level])
        return out


def turned(edges: list[Tensor]) -> list[Tensor]:
    """Edges the other way round."""
    return [edges_BTS.transpose(1, 2) for edges_BTS in edges]


@models.register("msgifsr")
class Msgifsr(CosineModel, PrefixModel):
    """A graph of units; for each level a direction that reads it, and the logarithm of its weight."""

    Config = MsgifsrConfig
    fixed_length = True

    def __init__(self, config: MsgifsrConfig, item_count: int, max_length: int) -> None:
        super().__init__(config, item_count)
        D, K = config.dim, config.levels
        self.dropout = Dropout(config.dropout)
        self.orders = nn.ModuleList(nn.GRU(D, D, batch_first=True) for _ in range(1, K))
        self.layers = nn.ModuleList(GraphLayer(config) for _ in range(config.layers))
        self.every = nn.ModuleList(nn.Linear(D, D) for _ in range(K))
        self.newest = nn.ModuleList(nn.Linear(D, D, bias=False) for _ in range(K))
        self.vote = nn.ModuleList(nn.Linear(D, 1, bias=False) for _ in range(K))
        self.output = nn.ModuleList(nn.Linear(2 * D, D, bias=False) for _ in range(K))
        self.fusion = nn.Parameter(torch.zeros(K))

    def encode(self, items_BT: Tensor, lengths_B: Tensor) -> Tensor:
        """z_k / τ of every level and log a_k, [B, K·D + K]."""
        graph = UnitGraph(items_BT, lengths_B, self.config.levels)
        h = self._units(items_BT)
        for layer in self.layers:
            h = layer(h, graph)
        queries = self._read([F.normalize(h_BTD, dim=-1) for h_BTD in h], graph)
        has_BK = lengths_B[:, None] > torch.arange(len(h), device=items_BT.device)
        log_a_BK = self.fusion.masked_fill(~has_BK, LOWEST).log_softmax(1)
        return torch.cat([(self.unit_queries(queries) * has_BK[..., None]).flatten(1), log_a_BK], 1)

    def _units(self, items_BT: Tensor) -> list[Tensor]:
        """Directions of the units that begin at each position, for each level, [B, T, D]."""
        B, T = items_BT.shape
        x_BTD = self.dropout(self.items(items_BT))
        units, total_BTD, nth = [F.normalize(x_BTD, dim=-1)], x_BTD, [x_BTD]
        for k, order in enumerate(self.orders, start=2):
            nth.append(F.pad(x_BTD, (0, 0, 0, k - 1))[:, k - 1 :])
            total_BTD = total_BTD + nth[-1]
            state_BTD = order(torch.stack(nth, 2).flatten(0, 1))[1].view(B, T, -1)
            units.append(F.normalize(total_BTD / k + state_BTD, dim=-1))
        return units

    def _read(self, h: list[Tensor], graph: UnitGraph) -> Tensor:
        """z of every level, [B, K, D]."""
        all_BND, nodes_BN = torch.cat(h, 1), torch.cat(graph.nodes, 1)
        row, queries = torch.arange(all_BND.shape[0], device=all_BND.device), []
        for level, last_B in enumerate(graph.last):
            last_BD = h[level][row, last_B]
            inner_BND = torch.sigmoid(self.every[level](all_BND) + self.newest[level](last_BD)[:, None])
            votes_BN = self.vote[level](inner_BND)[..., 0].masked_fill(~nodes_BN, float("-inf"))
            read_BD = (votes_BN.softmax(1)[:, None] @ all_BND)[:, 0]
            queries.append(self.output[level](torch.cat([last_BD, read_BD], 1)))
        return torch.stack(queries, 1)

    def scorer(self) -> Scorer:
        return MixtureScorer(self.item_table(), self.config.levels)

    def forward(self, batch: Batch, objective: Objective = EXACT) -> Tensor:
        assert isinstance(objective, Softmax)
        dtype = product_dtype(objective.precision, batch.items_BT.device)
        parts = split_queries(self.queries(batch), self.config.levels)
        return mixture_cross_entropy(*parts, self.item_table(), batch.targets_R - 1, dtype)
