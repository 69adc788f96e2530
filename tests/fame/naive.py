"""FAME in plain loops, from the paper's equations: over rows, positions, heads, experts and items.

Independent of `fame`: it takes weights from a model by name and computes one number after another the
way the equations print it: an explicit score matrix for each head, every facet's score of every item,
no padding, no identity. `residual=True`, `norm` and `positions` are our departures from the print.

The projections of the paper have no bias terms; ours have. They are added where a linear layer has them
and vanish when they are zero.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


def softmax(scores: list[Tensor]) -> list[Tensor]:
    top = max(float(s) for s in scores)
    exps = [torch.exp(s - top) for s in scores]
    total = sum(exps)
    return [e / total for e in exps]


def gelu(x: Tensor) -> Tensor:
    return x * 0.5 * (1 + torch.erf(x / math.sqrt(2)))


def feed_forward(layers: nn.Sequential, x: Tensor) -> Tensor:
    """W_2 GELU(W_1 x + b_1) + b_2; Eq. 7 when its input is a head."""
    first, second = layers[0], layers[2]
    return second.weight @ gelu(first.weight @ x + first.bias) + second.bias


def layer_norm(norm: nn.LayerNorm, x: Tensor) -> Tensor:
    centred = x - x.sum() / len(x)
    return centred / torch.sqrt((centred * centred).sum() / len(x) + norm.eps) * norm.weight + norm.bias


class NaiveFame:
    """Scores of a `Fame` (or the hidden states of a `SASRec`) for one unpadded list of items."""

    def __init__(self, model: nn.Module) -> None:
        self.model, self.config = model, model.config
        self.heads, self.width = self.config.heads, self.config.dim // self.config.heads

    def part(self, weight: Tensor, index: int) -> Tensor:
        """The rows of a stacked projection that make piece number `index`."""
        return weight[index * self.width : (index + 1) * self.width]

    def project(self, layer: nn.Linear, index: int, x: Tensor) -> Tensor:
        return self.part(layer.weight, index) @ x + self.part(layer.bias, index)

    def embed(self, items: list[int]) -> list[Tensor]:
        out = []
        for t, item in enumerate(items):
            x = self.model.items.weight[item]
            if self.config.positions == "absolute":
                x = x + self.model.positions.weight[t]
            if self.config.positions == "absolute_right":
                x = x + self.model.positions.weight[len(items) - 1 - t]
            out.append(layer_norm(self.model.embedding_norm, x))
        return out

    def attention(self, attention: nn.Module, x: list[Tensor], t: int, h: int, n: int) -> list[Tensor]:
        """Eq. 13: A of expert n of head h at position t: softmax(Q K^T / √K + causal)."""
        experts = attention.queries
        query = self.project(attention.query, h * experts + n, x[t])
        scores = []
        for s in range(t + 1):
            key = self.project(attention.key_value, h, x[s])
            score = query @ key / math.sqrt(self.width)
            if self.config.positions == "relative":
                score = score + attention.bias[h * experts + n, t - s]
            scores.append(score)
        return softmax(scores)

    def attend(self, attention: nn.Module, x: list[Tensor], t: int, h: int, n: int) -> Tensor:
        """Eq. 12–15: F_n^h = A_n^h V^h."""
        values = [self.project(attention.key_value, self.heads + h, x[s]) for s in range(t + 1)]
        return sum(p * v for p, v in zip(self.attention(attention, x, t, h, n), values, strict=True))

    def plain_block(self, block: nn.Module, x: list[Tensor]) -> list[Tensor]:
        """SASRec's block."""
        pre = self.config.norm == "pre"
        before = [layer_norm(block.attention_norm.norm, row) if pre else row for row in x]
        out = []
        for t in range(len(x)):
            heads = torch.cat([self.attend(block.attention, before, t, h, 0) for h in range(self.heads)])
            row = x[t] + block.output.weight @ heads + block.output.bias
            if pre:
                row = row + feed_forward(block.feed_forward, layer_norm(block.feed_forward_norm.norm, row))
            else:
                row = layer_norm(block.attention_norm.norm, row)
                row = layer_norm(block.feed_forward_norm.norm, row + feed_forward(block.feed_forward, row))
            out.append(row)
        return out

    def facets_as_printed(self, block: nn.Module, x: list[Tensor], t: int) -> list[Tensor]:
        """Eq. 12–17 and 7: F'^h of every head at position t."""
        return [feed_forward(block.feed_forward, self.mixture(block, x, t, h)) for h in range(self.heads)]

    def router(self, block: nn.Module, experts: list[Tensor], h: int) -> list[Tensor]:
        """Eq. 16: β = softmax([F_1 ‖ … ‖ F_N] W_exp + b_exp)."""
        joined = torch.cat(experts)
        return softmax([joined @ block.router_weight[h, :, n] + block.router_bias[h, n] for n in range(len(experts))])

    def mixture(self, block: nn.Module, x: list[Tensor], t: int, h: int) -> Tensor:
        """Eq. 17: F^h = Σ_n β_n F_n."""
        experts = [self.attend(block.attention, x, t, h, n) for n in range(block.attention.queries)]
        return sum(b * f for b, f in zip(self.router(block, experts, h), experts, strict=True))

    def into_experts(self, block: nn.Module, x: list[Tensor]) -> list[Tensor]:
        """What the experts of the last block read."""
        pre = self.config.residual and self.config.norm == "pre"
        return [layer_norm(block.attention_norm.norm, row) if pre else row for row in x]

    def facets_with_residual(self, block: nn.Module, x: list[Tensor], t: int) -> list[Tensor]:
        """Ours: the sum of each step's input and output, normed over all heads together."""
        pre, before = self.config.norm == "pre", self.into_experts(block, x)
        row = x[t] + torch.cat([self.mixture(block, before, t, h) for h in range(self.heads)])
        if not pre:
            row = layer_norm(block.attention_norm.norm, row)
        inside = layer_norm(block.feed_forward_norm.norm, row) if pre else row
        row = row + torch.cat([feed_forward(block.feed_forward, self.part(inside, h)) for h in range(self.heads)])
        if not pre:
            row = layer_norm(block.feed_forward_norm.norm, row)
        return [self.part(row, h) for h in range(self.heads)]

    def before_last_block(self, items: list[int]) -> list[Tensor]:
        x = self.embed(items)
        for block in self.model.blocks[:-1]:
            x = self.plain_block(block, x)
        return x

    def facet_scores(self, items: list[int], t: int) -> tuple[list[Tensor], Tensor]:
        """Gate g of Eq. 10 and P_v^h of Eq. 8 for every facet and item, [H, V], read at position t."""
        x, block = self.before_last_block(items), self.model.blocks[-1]
        facets = self.facets_with_residual(block, x, t) if self.config.residual else self.facets_as_printed(block, x, t)
        joined = torch.cat(facets)
        gate = softmax([block.gate.weight[h] @ joined + block.gate.bias[h] for h in range(self.heads)])  # Eq. 10
        if self.config.norm == "pre":
            joined = layer_norm(self.model.final_norm, joined)
        scores = []
        for h in range(self.heads):
            w_f = self.model.facet_projection[:, h * self.width : (h + 1) * self.width]
            for v in range(1, self.model.item_count + 1):
                x_vh = self.model.items.weight[v] @ w_f  # Eq. 9
                scores.append(x_vh @ self.part(joined, h))  # Eq. 8
        return gate, torch.stack(scores).view(self.heads, -1)

    def scores(self, items: list[int], t: int) -> Tensor:
        """P_v of Eq. 11 for every item v, read at position t."""
        gate, scores_HV = self.facet_scores(items, t)
        return sum(g * p for g, p in zip(gate, scores_HV, strict=True))
