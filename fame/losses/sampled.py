"""Losses of a target against a sample of the catalogue, and where the sample comes from.

Letters: R rows (predicted positions), S negatives, V items; y_r is the target of row r, s_rv the score
of item v in row r.

A step draws S negatives v_1 … v_S with replacement from a proposal q over all items. All its rows share them, so all
scores are one matrix product. A negative that happens to be a row's target is no negative of that row: its score is set
to −∞, which all losses turn into nothing.

**Sampled softmax** replaces the exact Z_r = Σ_v exp(s_rv) by

    Z_r = exp(s_{r,y_r}) + Σ_{j: v_j ≠ y_r} exp(s_{r,v_j} − log(S q_{v_j})),

which is right on average for every row: over the draws,

    E[Z_r] = exp(s_{r,y_r}) + Σ_{v ≠ y_r} S q_v · exp(s_rv) / (S q_v) = Σ_v exp(s_rv).

The target takes no correction, because it is in Z_r with certainty and not by chance. It is common to correct it, too.
That takes log(S q_y) from its score, so the scores are no longer those of the softmax ("Correcting the LogQ
Correction", RecSys 2025). The mask is the other half of the same argument. Of S draws S q_y are the target. The rest is
S times q without it, so dividing by S q_v needs no renormalisation. An item with q_v = 0 would be missing from Z_r for
ever: q has none.

**gBCE** (Petrov & Macdonald, RecSys 2023) weighs the binary cross entropy of the target, so that the
probabilities are not too high only because most negatives were left out:

    −(β log σ(s_{r,y_r}) + Σ_{j: v_j ≠ y_r} log(1 − σ(s_{r,v_j}))),   β = α(t(1 − 1/α) + 1/α) = 1 − t(1 − α),

with α = S / (V − 1), the share of the negatives that are drawn. t = 0 is the plain loss, t = 1 the
calibration that makes up for the whole sampling, if q is uniform. (The paper's mean over the S + 1
terms is a sum here: Adam's steps are the same, and `train.clip_norm` means the norm of the sum.)

A probability σ(s) near 1/V needs s near −log V. Without a bias per item, a model can only learn that by turning all
items the same way. That costs the differences between them: on Beauty it stays there (docs/LOG.md).
Therefore s in `fame.losses.objective.Gbce` is the model's score plus a constant, which changes no ranking. The constant
is log(β / S). With it, a model that scores every item 0 is at the minimum of all constant ones, to first order. At
t = 1 this is −log(V − 1), the probability of an item drawn blindly.

**BPR-max** and **TOP1-max** (Hidasi & Karatzoglou, CIKM 2018) compare the target with the highest negatives: each
weighs as much as a softmax over the row's negatives gives it, w_rj = exp(s_{r,v_j}) / Σ_{k: v_k ≠ y_r} exp(s_{r,v_k}),

    BPR-max   −log Σ_j w_rj σ(s_{r,y_r} − s_{r,v_j}) + λ Σ_j w_rj s_{r,v_j}²,
    TOP1-max  Σ_j w_rj (σ(s_{r,v_j} − s_{r,y_r}) + σ(s_{r,v_j}²)).

The second terms keep the negatives' scores near 0. A row without any negative has the loss 0.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


class Proposal:
    """The distribution q of the negatives: q_v ∝ max(count_v, 1)^power.

    counts_V: how often each item is a training target. An item that never is counts as one that is
    once, so that no item is out of reach. A draw costs log V: a search in the cumulative sum.
    """

    def __init__(self, counts_V: Tensor, power: float) -> None:
        weights_V = counts_V.clamp(min=1).double() ** power
        cumulative_V = weights_V.cumsum(0)
        self.cumulative_V = cumulative_V / cumulative_V[-1]
        self.log_q_V = (weights_V / cumulative_V[-1]).log().float()

    def draw(self, count: int, generator: torch.Generator) -> Tensor:
        """Item numbers (from 1), int64 [count]."""
        device = self.cumulative_V.device
        uniform_S = torch.rand(count, generator=generator, dtype=torch.float64, device=device)
        return torch.searchsorted(self.cumulative_V, uniform_S, right=True) + 1

    def log_q(self, items_S: Tensor) -> Tensor:
        return self.log_q_V[items_S - 1]


def negative_scores(
    queries_RD: Tensor, rows_SD: Tensor, negatives_S: Tensor, targets_R: Tensor, dtype: torch.dtype
) -> Tensor:
    """Scores of the negatives in every row, [R, S], −∞ where one is the row's target; products in `dtype`."""
    scores_RS = (queries_RD.to(dtype) @ rows_SD.to(dtype).T).to(queries_RD.dtype)
    return scores_RS.masked_fill(targets_R[:, None] == negatives_S, float("-inf"))


def sampled_softmax(positive_R: Tensor, negative_RS: Tensor, log_expected_S: Tensor) -> Tensor:
    """Σ_r (log Z_r − s_{r,y_r}); log_expected: log(S q) of every negative."""
    logits = torch.cat([positive_R[:, None], negative_RS - log_expected_S], 1)
    return F.cross_entropy(logits, logits.new_zeros(len(logits), dtype=torch.long), reduction="sum")


def gbce(positive_R: Tensor, negative_RS: Tensor, beta: float) -> Tensor:
    """The gBCE of all rows; −log σ(s) = softplus(−s) and −log(1 − σ(s)) = softplus(s) never overflow."""
    return beta * F.softplus(-positive_R).sum() + F.softplus(negative_RS).sum()


def bpr_max(positive_R: Tensor, negative_RS: Tensor, penalty: float) -> Tensor:
    """The BPR-max of all rows; penalty: λ. The sum within the logarithm is taken of logarithms: it never is 0."""
    is_target_RS = negative_RS.isneginf()
    log_weights_RS, scores_RS = _weighed(negative_RS, is_target_RS)
    wins_RS = F.logsigmoid(positive_R[:, None] - scores_RS).masked_fill(is_target_RS, 0)
    squares_RS = (log_weights_RS.exp() * scores_RS.square()).sum(1)
    return (penalty * squares_RS - (log_weights_RS + wins_RS).logsumexp(1)).sum()


def top1_max(positive_R: Tensor, negative_RS: Tensor) -> Tensor:
    """The TOP1-max of all rows."""
    is_target_RS = negative_RS.isneginf()
    log_weights_RS, scores_RS = _weighed(negative_RS, is_target_RS)
    losses_RS = (scores_RS - positive_R[:, None]).sigmoid() + scores_RS.square().sigmoid()
    return (log_weights_RS.exp() * losses_RS.masked_fill(is_target_RS, 0)).sum()


def _weighed(negative_RS: Tensor, is_target_RS: Tensor) -> tuple[Tensor, Tensor]:
    """log w of every negative and its score; both finite, with w = 0 and score 0 for what is the row's target.

    In a row that has nothing else w is 1/S: what it weighs there must be 0.
    """
    lowest = torch.finfo(negative_RS.dtype).min
    log_weights_RS = negative_RS.masked_fill(is_target_RS, lowest).log_softmax(1)
    return log_weights_RS, negative_RS.masked_fill(is_target_RS, 0)


def gbce_beta(negatives: int, item_count: int, t: float) -> float:
    """β of gBCE: the weight of the positive."""
    alpha = negatives / max(item_count - 1, 1)
    return 1 - t * (1 - alpha)
