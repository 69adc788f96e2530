"""Atten-Mixer: several levels of intent read a session (Zhang et al., WSDM 2023, arXiv 2206.12781).

Letters: B batch, T time of the queries, S time of what is read, D model width, L levels, H heads, K = D/H, p the
exponent of the pooling.

Directions of items are all that is read, x_s = E_s / |E_s|. The intent of level l comes from the last l items as a set
(deep sets), and attends, with each of H heads, to all of the session; an L_p norm over the levels makes one map of each
head's L, which reads the session:

    q_t^l = W_l Σ_{j<l} x_{t−j} + b_l,  of length 1                        l = 1..L
    A^{h,l} = softmax_s(Q^h q_t^l · K^h x_s / √K)                        s ≤ t
    A^h_s ∝ (Σ_l (A_s^{h,l})^p)^{1/p}
    a_t = LN([Σ_s A^1_s V^1 x_s ‖ … ‖ Σ_s A^H_s V^H x_s]),   z_t = W [a_t ‖ x_t]
    score_v = cos(z_t, E_v) / τ.

All of it is causal, so every position trains in one pass. Sums over fewer than l items are of those that are there.

What differs:

- The authors' code concatenates the last l items where the paper sums them, cuts vectors into heads across positions, norms
  queries over the levels, and passes scores through a sigmoid and both maps through softmax(2 ·), so that no
  weight is more than e² times another. Here are the paper's sets, the usual heads, and plain softmax.
- The pooled map is divided by its sum, in logarithms (`pooled`): its terms underflow otherwise.
- Sessions are sequences: a repeated item is read as often as it occurs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fame.config import Count, Positive, Range, Rate, require
from fame.models.baselines.cosine import CosineConfig, CosineModel
from fame.models.layers.attention import last_position
from fame.models.layers.dropout import Dropout
from fame.registry import models

LOWEST = -1e4
"""Stands for log 0 where −∞ would have no gradient."""


@dataclass(frozen=True, kw_only=True)
class AttenMixerConfig(CosineConfig):
    """Atten-Mixer (WSDM 2023): intents of the last 1 to L items attend to the session."""

    name: Literal["atten_mixer"] = "atten_mixer"
    heads: Count = 2
    """H, attention heads; divides D."""
    levels: Count = 5
    """L, the most items that an intent is made of."""
    power: Annotated[float, Range(low=1)] = 4.0
    """p of the pooling over levels; 1 is their mean, and large values the highest."""
    attention_dropout: Rate = 0.1
    """Dropout of the pooled attention."""
    temperature: Positive = 1 / 16

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.dim % self.heads == 0, "model.heads", self.heads, f"must divide model.dim = {self.dim}")


@models.register("atten_mixer")
class AttenMixer(CosineModel):
    """Item directions, intents of L levels, one attention readout."""

    Config = AttenMixerConfig

    def __init__(self, config: AttenMixerConfig, item_count: int, max_length: int) -> None:
        super().__init__(config, item_count)
        D = config.dim
        self.dropout = Dropout(config.dropout)
        self.levels = nn.ModuleList(nn.Linear(D, D) for _ in range(config.levels))
        self.query, self.key_value = nn.Linear(D, D), nn.Linear(D, 2 * D)
        self.attention_dropout = Dropout(config.attention_dropout)
        self.norm = nn.LayerNorm(D, eps=1e-12)
        self.output = nn.Linear(2 * D, D)

    def hidden(self, items_BT: Tensor, lengths_B: Tensor) -> Tensor:
        x_BSD, intents_BTLD = self._intents(items_BT)
        position_S = torch.arange(items_BT.shape[1], device=items_BT.device)
        return self._read(x_BSD, x_BSD, intents_BTLD, position_S > position_S[:, None])

    def encode(self, items_BT: Tensor, lengths_B: Tensor) -> Tensor:
        x_BSD, intents_BSLD = self._intents(items_BT)
        intents_BTLD = last_position(intents_BSLD.flatten(2), lengths_B).unflatten(2, intents_BSLD.shape[2:])
        position_S = torch.arange(items_BT.shape[1], device=items_BT.device)
        later_BTS = (position_S >= lengths_B[:, None])[:, None]
        return self._read(x_BSD, last_position(x_BSD, lengths_B), intents_BTLD, later_BTS)[:, 0]

    def _intents(self, items_BT: Tensor) -> tuple[Tensor, Tensor]:
        """Item directions [B, S, D] and the intents of every position [B, S, L, D]."""
        x_BSD = F.normalize(self.dropout(F.normalize(self.items(items_BT), dim=-1)), dim=-1)
        total_BSD, intents = torch.zeros_like(x_BSD), []
        for distance, level in enumerate(self.levels):
            total_BSD = total_BSD + F.pad(x_BSD, (0, 0, distance, 0))[:, : x_BSD.shape[1]]
            intents.append(F.normalize(level(total_BSD), dim=-1))
        return x_BSD, torch.stack(intents, 2)

    def _read(self, x_BSD: Tensor, x_BTD: Tensor, intents_BTLD: Tensor, later_BTS: Tensor) -> Tensor:
        """Queries [B, T, D]; later: where what is read is later than the position, [B or nothing, T, S]."""
        (B, S, D), T, H = x_BSD.shape, x_BTD.shape[1], self.config.heads
        q_BHTLK = self.query(intents_BTLD).view(B, T, -1, H, D // H).permute(0, 3, 1, 2, 4)
        k_BHSK, v_BHSK = self.key_value(x_BSD).view(B, S, 2, H, D // H).permute(2, 0, 3, 1, 4)
        scores = q_BHTLK.flatten(2, 3) @ (k_BHSK * (D // H) ** -0.5).transpose(2, 3)
        later = later_BTS.expand(B, T, S)[:, None, :, None]
        weights_BHTS = pooled(scores.view(B, H, T, -1, S), later, self.config.power)
        read_BTD = (self.attention_dropout(weights_BHTS) @ v_BHSK).transpose(1, 2).flatten(2)
        return self.unit_queries(self.output(torch.cat([self.norm(read_BTD), x_BTD], -1)))


def pooled(scores_BHTLS: Tensor, masked: Tensor, power: float) -> Tensor:
    """Attention whose weights are proportional to the L_p norm over levels of each level's, [B, H, T, S].

    masked: what has no weight, of the same shape but for axes of 1.
    """
    log_weights = scores_BHTLS.masked_fill(masked, float("-inf")).log_softmax(-1).masked_fill(masked, LOWEST)
    log_norm_BHTS = torch.logsumexp(power * log_weights, dim=3) / power
    return log_norm_BHTS.masked_fill(masked[..., 0, :], float("-inf")).softmax(-1)
