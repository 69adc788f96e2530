"""The contrastive objective of a facet, and batches in which every anchor has positives.

For anchors i of a batch with normalised projections z and weights w_ip of the positives p ≠ i:

    L = mean_i − Σ_p w_ip log( exp(z_i·z_p/τ) / Σ_{a≠i} exp(z_i·z_a/τ) ) / Σ_p w_ip

Single labels: w is 1 for the same label, else 0 (SupCon, Khosla et al., 2020, its L_out). Label sets:
w is their overlap (Jaccard), which is the former where every set has one label.

Letters: B items of a batch, K width of a projection, L labels.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from fame.text.facets import Facet


def contrastive_loss(z_BK: Tensor, weights_BB: Tensor, temperature: float) -> Tensor:
    """Mean over the anchors that have positives, a scalar. Weights: not negative; their diagonal is not read."""
    itself = torch.eye(len(z_BK), dtype=torch.bool, device=z_BK.device)
    weights_BB = weights_BB.masked_fill(itself, 0)
    scores_BB = (z_BK @ z_BK.T / temperature).masked_fill(itself, float("-inf"))
    logs_BB = scores_BB.log_softmax(1).masked_fill(itself, 0)
    totals_B = weights_BB.sum(1)
    losses_B = -(weights_BB * logs_BB).sum(1) / totals_B.clamp(min=torch.finfo(totals_B.dtype).tiny)
    return losses_B.sum() / (totals_B > 0).sum()


def overlap(facet: Facet, items: np.ndarray) -> Tensor:
    """Jaccard similarity of the label sets of a batch's items, [B, B], float32."""
    counts = facet.counts[items]
    rows = np.repeat(np.arange(len(items)), counts)
    within = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
    labels = facet.labels[facet.offsets[items][rows] + within]
    present, columns = np.unique(labels, return_inverse=True)
    has_BL = torch.zeros(len(items), len(present))
    has_BL[torch.from_numpy(rows), torch.from_numpy(columns)] = 1
    both_BB = has_BL @ has_BL.T
    sizes_B = torch.from_numpy(counts).float()
    return both_BB / (sizes_B[:, None] + sizes_B - both_BB).clamp(min=1)


class PairedBatches:
    """Batches of items that have a label, each with a partner that shares one.

    Half of a batch are items in random order, each once an epoch. The other half are their partners: for each, another
    item with one of its labels, drawn uniformly.
    """

    def __init__(self, facet: Facet, batch_size: int) -> None:
        self.facet, self.half = facet, max(1, batch_size // 2)
        self.items = np.flatnonzero(facet.counts)
        owners = np.repeat(np.arange(len(facet.counts)), facet.counts)
        order = np.argsort(facet.labels, kind="stable")
        self.members = owners[order]
        """Items by label; those of label l begin at `begins[l]`."""
        self.sizes = np.bincount(facet.labels, minlength=len(facet.names))
        self.begins = np.cumsum(self.sizes) - self.sizes
        self.place = np.empty(len(order), np.int64)
        """Where in `members` each entry of `facet.labels` stands."""
        self.place[order] = np.arange(len(order))
        assert self.sizes.min() >= 2, "a label of a single item leaves it without a positive"

    def draw(self, random: np.random.Generator) -> Iterator[np.ndarray]:
        """Batches without end; items of a batch are distinct."""
        while True:
            order = random.permutation(self.items)
            for start in range(0, len(order), self.half):
                anchors = order[start : start + self.half]
                yield np.unique(np.concatenate([anchors, self._partners(anchors, random)]))

    def _partners(self, anchors: np.ndarray, random: np.random.Generator) -> np.ndarray:
        entries = self.facet.offsets[anchors] + random.integers(self.facet.counts[anchors])
        labels = self.facet.labels[entries]
        begins, sizes = self.begins[labels], self.sizes[labels]
        step = random.integers(1, sizes)  # from its own place on, so that nobody is its own partner
        return self.members[begins + (self.place[entries] - begins + step) % sizes]


def plain_batches(items: np.ndarray, batch_size: int, random: np.random.Generator) -> Iterator[np.ndarray]:
    """Items in random order, every one once an epoch, without end; the last batch of an epoch may be smaller."""
    while True:
        order = random.permutation(items)
        for start in range(0, len(order), batch_size):
            yield order[start : start + batch_size]


def two_views(count: int) -> Tensor:
    """Weights of instance contrast, [2·count, 2·count]: row i and row count + i are views of the same item."""
    return torch.eye(count).repeat(2, 2)
