"""Disentanglement: which block of the item vectors knows which facet.

A linear probe is a ridge regression from one block to the labels of one facet, W = (XᵀX + λI)⁻¹ XᵀY. It is fitted on
four fifths of the items that have a label. Its accuracy on the others is the share whose highest-scored label is one of
the item's. Beside it stands what the most frequent label would reach. Purity asks for more: that items which are near
each other in a block have the same label.

Letters: V items, N items with a label, H heads, K width of a block, L labels, F facets.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize

from fame.text.facets import Facet

HELD_OUT_SHARE = 0.2
RIDGE = 1e-3
"""λ as a share of the mean of XᵀX's diagonal."""
NEIGHBOURS = 10
NEAREST_ROWS = 1024


@dataclass(frozen=True, kw_only=True)
class ProbeAccuracy:
    """Accuracy of every facet from every block, [F, H], and of the most frequent label, [F]."""

    facets: list[str]
    accuracy: list[list[float]]
    frequent: list[float]


def probe(table_VD: Tensor, heads: int, facets: Sequence[Facet], seed: int = 0) -> ProbeAccuracy:
    """Probe every block for every facet. Items whose row is zero are left out."""
    known = (table_VD != 0).any(1).numpy()
    accuracy, frequent = [], []
    for facet in facets:
        items = np.flatnonzero(known & (facet.counts > 0))
        items = np.random.default_rng(seed).permutation(items)
        labels_NL = _labels(facet, items)
        test = max(1, round(len(items) * HELD_OUT_SHARE))
        blocks_HNK = table_VD[torch.from_numpy(items)].double().unflatten(1, (heads, -1)).transpose(0, 1)
        accuracy.append([_accuracy(block_NK, labels_NL, test) for block_NK in blocks_HNK])
        most = labels_NL[test:].sum(0).argmax()
        frequent.append(float(labels_NL[:test, most].mean()))
    return ProbeAccuracy(facets=[facet.name for facet in facets], accuracy=accuracy, frequent=frequent)


def _labels(facet: Facet, items: np.ndarray) -> Tensor:
    """Return 1 where an item has a label, else 0, [N, L], float64."""
    labels_NL = torch.zeros(len(items), len(facet.names), dtype=torch.float64)
    for row, item in enumerate(items):
        labels_NL[row, facet.labels[facet.offsets[item] : facet.offsets[item + 1]]] = 1
    return labels_NL


def _accuracy(x_NK: Tensor, labels_NL: Tensor, test: int) -> float:
    """On the first `test` rows, of a probe fitted on the others."""
    mean_K, mean_L = x_NK[test:].mean(0), labels_NL[test:].mean(0)
    x_NK = x_NK - mean_K
    gram_KK = x_NK[test:].T @ x_NK[test:]
    gram_KK += torch.eye(len(gram_KK), dtype=gram_KK.dtype) * (RIDGE * gram_KK.diagonal().mean() + 1e-12)
    weights_KL = torch.linalg.solve(gram_KK, x_NK[test:].T @ (labels_NL[test:] - mean_L))
    best = (x_NK[:test] @ weights_KL + mean_L).argmax(1, keepdim=True)
    return float(labels_NL[:test].gather(1, best).mean())


def purity(table_VD: Tensor, heads: int, facets: Sequence[Facet]) -> list[list[float]]:
    """Share of an item's nearest neighbours within a block that have a label of its, mean over items; [F, H]."""
    results = []
    for facet in facets:
        items = np.flatnonzero(facet.counts)
        has_NL = _labels(facet, items).float()
        blocks_HNK = table_VD[torch.from_numpy(items)].unflatten(1, (heads, -1)).transpose(0, 1)
        results.append([_purity(normalize(block_NK, dim=1), has_NL) for block_NK in blocks_HNK])
    return results


def _purity(x_NK: Tensor, has_NL: Tensor) -> float:
    total, near = 0.0, min(NEIGHBOURS, len(x_NK) - 1)
    for start in range(0, len(x_NK), NEAREST_ROWS):
        rows = torch.arange(start, min(start + NEAREST_ROWS, len(x_NK)))
        scores = x_NK[rows] @ x_NK.T
        scores[torch.arange(len(rows)), rows] = float("-inf")
        neighbours = scores.topk(near, dim=1).indices
        shared = torch.einsum("rl,rnl->rn", has_NL[rows], has_NL[neighbours])
        total += float((shared > 0).float().sum())
    return total / (len(x_NK) * near)


def best_match(matrix_FH: Sequence[Sequence[float]]) -> float:
    """Mean over facets of the matrix's entries under the best assignment of facets to different heads.

    With more facets than heads every head takes one facet, and the others are not counted.
    """
    matrix = np.asarray(matrix_FH)
    if len(matrix) > matrix.shape[1]:
        matrix = matrix.T
    rows = range(len(matrix))
    choices = itertools.permutations(range(matrix.shape[1]), len(matrix))
    return float(max(matrix[rows, list(columns)].mean() for columns in choices))
