"""How many trials and epochs a sweep takes that asks for no numbers, and how long it lasts.

Letters: P training targets, U users, L mean length of a history, V items, S items that a target is scored against in training,
D model width.

An epoch's cost is that of its matrix products: the loss takes 6·P·S·D operations (scores, and both gradients), the
blocks 6·P·12·D²·blocks. One sample for each prefix multiplies the blocks' part by L. The evaluation after it takes
2·U·(V·D + 12·D²·blocks·L). The estimate is meant to be right within a factor of two.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

CORE_FLOPS, GPU_FLOPS = 3e10, 1e13
"""Operations a second that a training reaches on a core and on a GPU (docs/PERFORMANCE.md)."""
TRIAL_SECONDS = 15.0
"""Seconds of a trial's start and end, beside its epochs."""
FEWEST_EPOCHS = 8
SEARCH_SECONDS = 4 * 3600
"""Seconds that a search may take, as far as the limits on the numbers of trials and epochs allow."""
FEWEST_TRIALS, MOST_TRIALS = 16, 64
ASHA_SHARE = 0.4
"""Share of a sweep's epochs that an early-stopping scheduler leaves."""
SAMPLE = 10_000
"""Users that are enough for a validation: NDCG@10 has a standard error of about .002."""


@dataclass(frozen=True, kw_only=True)
class TrialShare:
    """The cores and GPUs of a trial, and the number of trials at a time."""

    cores: int
    gpus: float
    at_a_time: int


@dataclass(frozen=True, kw_only=True)
class Size:
    """The seconds of an epoch and of a trial of a sweep on this data."""

    epoch_seconds: float
    """Seconds of one epoch for a model in the middle of the space, on the machines of one trial, with its evaluation."""
    at_a_time: int
    evaluation: float = 0.0
    """Share of the epoch that its evaluation takes."""
    limit: float = SEARCH_SECONDS
    """Seconds that the search may take."""

    def epochs(self, most: int) -> int:
        """Return the epochs with which the fewest trials fit into the limit; `most` is the space's number."""
        each = self.limit * self.at_a_time / FEWEST_TRIALS - TRIAL_SECONDS
        return max(min(most, FEWEST_EPOCHS), min(most, int(each / (self.epoch_seconds * ASHA_SHARE))))

    def trials(self, epochs: int) -> int:
        """Return as many trials of at most so many epochs as fit into the limit, between the fewest and the most."""
        return min(MOST_TRIALS, max(FEWEST_TRIALS, self.fits(epochs)))

    def fits(self, epochs: int) -> int:
        """Return as many trials of at most so many epochs as fit into the limit, at least one."""
        return max(1, int(self.limit * self.at_a_time / self._trial(epochs)))

    def seconds(self, trials: int, epochs: int) -> float:
        """Return how long so many trials take, with early stopping."""
        return self._trial(epochs) * math.ceil(trials / self.at_a_time)

    def _trial(self, epochs: int) -> float:
        return TRIAL_SECONDS + self.epoch_seconds * epochs * ASHA_SHARE


def size_of(
    model: Mapping[str, float],
    prefixes: float,
    statistics: Mapping[str, Any],
    share: TrialShare,
    limit: float | None = None,
    *,
    scored: float | None = None,
    validated: int = 0,
) -> Size:
    """Return the cost of an epoch.

    model: `dim`, `blocks` and `max_length`. prefixes: share of the trials with one sample for each prefix. limit: seconds that the
    search may take, if the user has said it. scored: S, by default all items. validated: users that are validated; 0 is all.
    """
    targets = max(1, statistics["actions"] - 3 * statistics["users"])  # the first item is none, two are held out
    items, length = statistics["items"], min(statistics["average_length"], model["max_length"])
    dim, blocks = model["dim"], 12.0 * model["dim"] ** 2 * model["blocks"]
    training = 6 * targets * (min(items, scored or items) * dim + blocks * (1 - prefixes + prefixes * length))
    users = min(statistics["users"], validated or statistics["users"])
    evaluation = 2 * users * (items * dim + blocks * length)
    speed = GPU_FLOPS * share.gpus if share.gpus else CORE_FLOPS * share.cores
    return Size(
        epoch_seconds=(training + evaluation) / speed,
        evaluation=evaluation / (training + evaluation),
        at_a_time=share.at_a_time,
        limit=limit or SEARCH_SECONDS,
    )


def spoken(seconds: float) -> str:
    """Return a duration in words: `about 40 min`, `about 3 h`."""
    if seconds < 90 * 60:
        return f"about {max(1, round(seconds / 60))} min"
    return f"about {seconds / 3600:.0f} h"
