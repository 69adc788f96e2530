"""Popularity: every user is recommended what all users like; a line of sanity, without training.

Letters: B batch, T time, V items, c_v how often item v occurs in the training parts.

    score_v = log P(v),   P(v) = (c_v + 1) / Σ_w (c_w + 1)

The one more that each item counts gives those that no training part has a probability too; it changes no ranking.
The loss is the cross entropy of P, what a model that reads histories has to beat. What decides here is
whether items of the history are left out (`evaluate.exclude_seen`), and nothing else: there is nothing to search.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from fame.config import ModelConfig, TrainConfig
from fame.datasets.sequences import Sequences, train_counts
from fame.models.base import EpochStart, SequentialModel
from fame.registry import models


@dataclass(frozen=True, kw_only=True)
class CountingConfig(ModelConfig):
    """Settings of models that count and optimise nothing."""

    def check_training(self, train: TrainConfig) -> None:
        rule = f"model '{self.name}' counts, and its loss is that of its probabilities; leave it out"
        train.require_plain_softmax(rule)


@dataclass(frozen=True, kw_only=True)
class PopularityConfig(CountingConfig):
    """The most popular items, for everybody."""

    name: Literal["popularity"] = "popularity"


@models.register("popularity")
class Popularity(SequentialModel):
    """Items score by how often they occur."""

    Config = PopularityConfig
    personal = False
    log_popularity_V: Tensor

    def __init__(self, config: PopularityConfig, item_count: int, max_length: int) -> None:
        super().__init__()
        self.register_buffer("log_popularity_V", torch.zeros(item_count))

    def start_epoch(self, epoch: EpochStart) -> None:
        self.log_popularity_V.copy_(log_popularity(epoch.sequences))

    def hidden(self, items_BT: Tensor, lengths_B: Tensor) -> Tensor:
        return self.log_popularity_V.new_ones(*items_BT.shape, 1)

    def item_table(self) -> Tensor:
        return self.log_popularity_V[:, None]


def log_popularity(sequences: Sequences) -> Tensor:
    """log P of every item in the training parts, float32 [V]."""
    counts_V = torch.from_numpy(train_counts(sequences)[1:]) + 1
    return (counts_V.double() / counts_V.sum()).log().float()
