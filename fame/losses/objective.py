"""The loss that a step minimises: `train.loss`, made from the settings once for a stage.

Letters: R rows (predicted positions), S negatives of a step, V items, D width.

An objective is given the model, a query for every row and the rows' targets. The exact softmax reads the model's
`item_table`. A sampled loss reads only the `item_rows` that it needs. So the model's gradient for the items has rows
for the items of the step alone (`row_gradients`).
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from fame.config import DEFAULT_NEGATIVES, TrainConfig
from fame.datasets.sequences import Sequences, target_counts
from fame.losses.sampled import Proposal, bpr_max, gbce, gbce_beta, negative_scores, sampled_softmax, top1_max
from fame.losses.similar import SimilarItems
from fame.losses.softmax import linear_cross_entropy, product_dtype


class ScoresItems(Protocol):
    """The methods of a model that a loss needs."""

    def item_embedding(self) -> nn.Embedding | None: ...

    def item_table(self) -> Tensor: ...

    def item_rows(self, items: Tensor) -> Tensor: ...


Number = TypeVar("Number", int, float)
DEFAULT_T = 0.75
DEFAULT_PENALTY = 1.0


class Objective(ABC):
    """A loss of queries against their targets, summed over the rows."""

    row_gradients = False
    """Whether only rows of the item table are read."""

    def start_epoch(self, generator: np.random.Generator) -> None:  # noqa: B027 - most draw nothing
        """Begin an epoch: what the epoch draws at random depends on `generator` alone."""

    @abstractmethod
    def __call__(self, model: ScoresItems, queries_RD: Tensor, targets_R: Tensor) -> Tensor:
        """Sum over rows, a scalar. targets: item numbers (from 1)."""


class Softmax(Objective):
    """Exact cross entropy over the whole catalogue (`fame.losses.softmax`), with soft targets if `similar` is given."""

    def __init__(
        self, precision: str = "auto", label_smoothing: float = 0.0, similar: SimilarItems | None = None
    ) -> None:
        self.precision, self.label_smoothing, self.similar = precision, label_smoothing, similar

    def __call__(self, model: ScoresItems, queries_RD: Tensor, targets_R: Tensor) -> Tensor:
        dtype = product_dtype(self.precision, queries_RD.device)
        embedding = model.item_embedding()
        table, padding = (model.item_table(), 0) if embedding is None else (embedding.weight, 1)
        rows_R = targets_R - 1 + padding
        loss = linear_cross_entropy(queries_RD, table, rows_R, dtype, padding, self.label_smoothing)
        return loss if self.similar is None else loss + self.similar.cost(model.item_rows, queries_RD, targets_R)


class Sampled(Objective):
    """Base class of the losses of `fame.losses.sampled`: all rows of a step share their negatives.

    With several workers each draws the same ones, so that a step means the same however many there are.
    """

    row_gradients = True
    default_power: float
    """`train.negatives_power` where it is not given."""

    def __init__(self, train: TrainConfig, counts_V: Tensor) -> None:
        self.negatives = given_or(train.negatives, DEFAULT_NEGATIVES)
        self.dtype = product_dtype(train.precision, counts_V.device)
        self.proposal = Proposal(counts_V, given_or(train.negatives_power, self.default_power))
        self.generator = torch.Generator(counts_V.device)

    def start_epoch(self, generator: np.random.Generator) -> None:
        self.generator.manual_seed(int(generator.integers(2**63)))

    def __call__(self, model: ScoresItems, queries_RD: Tensor, targets_R: Tensor) -> Tensor:
        negatives_S = self.proposal.draw(self.negatives, self.generator)
        rows = model.item_rows(torch.cat([targets_R, negatives_S]))
        targets_RD, negatives_SD = rows.split([len(targets_R), self.negatives])
        positive_R = (queries_RD * targets_RD).sum(1)
        negative_RS = negative_scores(queries_RD, negatives_SD, negatives_S, targets_R, self.dtype)
        return self.loss(positive_R, negative_RS, negatives_S)

    @abstractmethod
    def loss(self, positive_R: Tensor, negative_RS: Tensor, negatives_S: Tensor) -> Tensor:
        """Sum over rows, a scalar, of the scores of targets and of negatives, whose item numbers are `negatives_S`."""


class SampledSoftmax(Sampled):
    """Softmax over the target and the negatives, corrected for how they were drawn."""

    default_power = 0.5

    def loss(self, positive_R: Tensor, negative_RS: Tensor, negatives_S: Tensor) -> Tensor:
        log_expected_S = self.proposal.log_q(negatives_S) + math.log(self.negatives)
        return sampled_softmax(positive_R, negative_RS, log_expected_S)


class Gbce(Sampled):
    """Binary cross entropy whose positive term is weighed for the negatives that were left out.

    `bias` is the constant that turns scores into log odds (`fame.losses.sampled`).
    """

    default_power = 0.0

    def __init__(self, train: TrainConfig, counts_V: Tensor) -> None:
        super().__init__(train, counts_V)
        self.beta = gbce_beta(self.negatives, len(counts_V), given_or(train.gbce_t, DEFAULT_T))
        self.bias = math.log(self.beta / self.negatives)

    def loss(self, positive_R: Tensor, negative_RS: Tensor, negatives_S: Tensor) -> Tensor:
        return gbce(positive_R + self.bias, negative_RS + self.bias, self.beta)


class BprMax(Sampled):
    """GRU4Rec's pairwise loss against the highest of the negatives."""

    default_power = 0.75

    def __init__(self, train: TrainConfig, counts_V: Tensor) -> None:
        super().__init__(train, counts_V)
        self.penalty = given_or(train.bpr_max_penalty, DEFAULT_PENALTY)

    def loss(self, positive_R: Tensor, negative_RS: Tensor, negatives_S: Tensor) -> Tensor:
        return bpr_max(positive_R, negative_RS, self.penalty)


class Top1Max(Sampled):
    """GRU4Rec's other one, each of whose terms is bounded."""

    default_power = 0.75

    def loss(self, positive_R: Tensor, negative_RS: Tensor, negatives_S: Tensor) -> Tensor:
        return top1_max(positive_R, negative_RS)


SAMPLED: dict[str, type[Sampled]] = {
    "sampled_softmax": SampledSoftmax,
    "gbce": Gbce,
    "bpr_max": BprMax,
    "top1_max": Top1Max,
}


def make_objective(
    train: TrainConfig, sequences: Sequences, device: torch.device, similar: SimilarItems | None = None
) -> Objective:
    """The objective that `train.loss` names; `similar` is for soft targets of the exact softmax."""
    if train.loss == "softmax":
        return Softmax(train.precision, train.label_smoothing, similar)
    return SAMPLED[train.loss](train, torch.from_numpy(target_counts(sequences)).to(device))


def given_or(value: Number | None, default: Number) -> Number:
    return default if value is None else value
