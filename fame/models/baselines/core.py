"""CORE (Hou et al., SIGIR 2022): a session lies in the space of the items that it consists of.

Letters: B batch, T time, S time of the items that are summed, D width, V items.

Encoders that mix channels take a session away from its items. Here it stays a weighted sum of their vectors, and
a score is a cosine with the temperature τ:

    q_t = Σ_{s≤t} α_ts x_s,   score_v = cos(q_t, x_v) / τ,
    α_t· = softmax over s ≤ t of a_s = w · Transformer(x)_s + b   (`weights: transformer`), or 1/t (`mean`).

Items are dropped out twice: in the session, and as candidates ("robust distance measuring"), so that the cosine
relies on no single channel.

The authors' transformer is causal, so a_s is the same for every t, and one pass gives the queries of all
positions: a masked softmax over one row of numbers. What differs from their code, and why:
- Positions are a relative bias by default, as in all transformers here; `positions: absolute` is theirs.
- Only item vectors start as wide as theirs (±1/√D); they start the transformer that way, too, layer norms included.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from fame.config import Positive, Rate, require
from fame.models.baselines.cosine import CosineModel
from fame.models.layers.dropout import Dropout
from fame.models.sasrec import SASRec, SASRecConfig
from fame.registry import models

TRANSFORMER = ["blocks", "heads", "inner", "activation", "attention_residual", "dropout", "attention_dropout"]
TRANSFORMER += ["positions", "init", "init_std"]
"""Settings of the transformer, which `mean` has not."""


@dataclass(frozen=True, kw_only=True)
class CoreConfig(SASRecConfig):
    """CORE (Hou et al., 2022): sessions as weighted sums of item vectors, compared by cosine."""

    name: Literal["core"] = "core"  # type: ignore[assignment]
    weights: Literal["transformer", "mean"] = "transformer"
    """How the items of a session are weighed: by a causal transformer, or all alike."""
    session_dropout: Rate = 0.2
    """Dropout of the items of a session."""
    item_dropout: Rate = 0.2
    """Dropout of the items that a session is compared with."""
    temperature: Positive = 0.07
    """τ, by which cosines are divided."""

    def __post_init__(self) -> None:
        super().__post_init__()
        rule = "cosines are of items' own vectors alone; leave it out"
        require(not self.labels, "model.labels", self.labels, rule)
        for f in dataclasses.fields(self):
            ignored = self.weights == "mean" and f.name in TRANSFORMER and getattr(self, f.name) != f.default
            rule = "is ignored with model.weights = mean, which has no transformer; leave it out"
            require(not ignored, f"model.{f.name}", getattr(self, f.name), rule)

    def item_blocks(self) -> None:
        """Items do not start from text: of their vectors the directions alone count."""
        return None


@models.register("core")
class Core(CosineModel):
    """Weighted sums of item vectors, and cosines with them."""

    Config = CoreConfig

    def __init__(self, config: CoreConfig, item_count: int, max_length: int) -> None:
        super().__init__(config, item_count)
        self.session_dropout = Dropout(config.session_dropout)
        self.encoder: SASRec | None = None
        if config.weights == "transformer":
            self.encoder = SASRec(config, 0, max_length)
            self.encoder.add_module("items", nn.Identity())  # it reads vectors, the session's, in place of numbers
            self.vote = nn.Linear(config.dim, 1)

    def hidden(self, items_BT: Tensor, lengths_B: Tensor) -> Tensor:
        x_BSD = self.session_dropout(self.items(items_BT))
        return self.unit_queries(self._weights(x_BSD, lengths_B) @ x_BSD)

    def _weights(self, x_BSD: Tensor, lengths_B: Tensor) -> Tensor:
        """α, [B, T, S] or, where it is the same for all rows, [T, S]."""
        S = x_BSD.shape[1]
        votes = x_BSD.new_zeros(1, S)
        if self.encoder is not None:
            votes = self.vote(self.encoder.hidden(x_BSD, lengths_B)).transpose(1, 2)
        future_TS = torch.ones(S, S, dtype=torch.bool, device=x_BSD.device).triu(1)
        return votes.masked_fill(future_TS, float("-inf")).softmax(-1)
