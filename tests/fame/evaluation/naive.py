"""Evaluation in plain Python, and models and workers to try it with."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from fame.datasets.sequences import Sequences
from fame.models.base import SequentialModel
from fame.runtime.parallel import Workers

CUTOFFS = (1, 2, 5)


class LastItemModel(SequentialModel):
    """Scores from a table [last item, V] that is given: what the history's end says, nothing else."""

    def __init__(self, scores_VV: Tensor) -> None:
        super().__init__()
        self.scores_VV = nn.Parameter(scores_VV)

    def hidden(self, items_BT: Tensor, lengths_B: Tensor) -> Tensor:
        return self.scores_VV[(items_BT - 1).clamp(min=0)]

    def item_table(self) -> Tensor:
        return torch.eye(len(self.scores_VV))


def sorted_rank(scores: dict[int, float], target: int) -> float:
    """Place of the target in the sorted list, the middle one of those that tie."""
    ordered = sorted(scores.values(), reverse=True)
    places = [place for place, score in enumerate(ordered) if score == scores[target]]
    return (places[0] + places[-1]) / 2


def naive_ranks(sequences: Sequences, part: str, scores_of, exclude_seen: bool) -> list[float]:
    """`scores_of(history)` gives the score of item v at place v − 1."""
    ranks = []
    for user in range(len(sequences)):
        items = sequences[user].tolist()
        cut = len(items) - (1 if part == "test" else 2)
        history, target = items[:cut], items[cut]
        scores = dict(enumerate(scores_of(history), start=1))
        if exclude_seen:
            scores = {item: score for item, score in scores.items() if item == target or item not in history}
            worse = {item: -math.inf for item in range(1, sequences.item_count + 1) if item not in scores}
            scores |= worse  # they come after all others
        ranks.append(sorted_rank(scores, target))
    return ranks


def several_ranks(sequences: Sequences, part: str, scores_VV: Tensor) -> list[float]:
    """`naive_ranks` of users with any number of targets: none for a user without a history."""
    ranks = []
    for user in range(len(sequences)):
        begin, end = int(sequences.offsets[user]), int(sequences.offsets[user + 1])
        start = int((sequences.test if part == "test" else sequences.validation)[user])
        end = end if part == "test" else int(sequences.test[user])
        history, found = sequences.values[begin:start].tolist(), sequences.values[start:end].tolist()
        for target in dict.fromkeys(found) if history else ():
            scores = scores_VV[history[-1] - 1].tolist()
            left = {v: s for v, s in enumerate(scores, start=1) if v in found or v not in history}
            worse = {v: -math.inf for v in range(1, sequences.item_count + 1) if v not in left}
            ranks.append(sorted_rank(left | worse, target))
    return ranks


def naive_metrics(ranks: list[float], cutoffs=CUTOFFS) -> dict[str, float]:
    out = {}
    for k in cutoffs:
        gains = [1 / math.log2(rank + 2) if rank < k else 0.0 for rank in ranks]
        out[f"hr@{k}"] = sum(rank < k for rank in ranks) / len(ranks)
        out[f"ndcg@{k}"] = math.fsum(gains) / len(ranks)
    return out


class Apart(Workers):
    """A worker whose sum is its own share."""

    def sum(self, values: Tensor) -> Tensor:
        return values
