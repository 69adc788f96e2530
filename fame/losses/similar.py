"""Soft targets: the items whose texts are most like a target's get a part of its share.

Letters: V items, K of them like one item, R rows (predicted positions), D width.

A history tells one item that was chosen, and not that others would have done as well. Their texts tell which.
`text.smoothing` = δ takes δ of a target's share and gives it to its nearest items n_k(y) by the cosine of their texts:

    t_rv = (1 − ε − δ) [v = y_r] + ε/V + δ Σ_k s_k(y_r) [v = n_k(y_r)],   s_k ∝ exp(cos(y, n_k(y)) / τ)

Cross entropy is linear in its targets, so the loss is that without δ plus δ z_r·(e_{y_r} − Σ_k s_k e_{n_k}).
Targets that a similarity spreads are from text generation (D2GPo, Li et al., ICLR 2020).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

NEAREST = 10
"""K."""
TEMPERATURE = 0.1
"""τ."""
NEVER = -2.0
"""Lower than every cosine."""
SCORES = 1 << 24
"""Cosines that are held at a time."""


@dataclass(frozen=True, kw_only=True)
class SimilarItems:
    """The items that are most like each item, and the share of a target that they get."""

    share: float
    """δ, in (0, 1)."""
    items_VK: Tensor
    """n_k, int64 item numbers, from 1."""
    weights_VK: Tensor
    """s_k, which sum to 1 over K."""

    def cost(self, item_rows: Callable[[Tensor], Tensor], queries_RD: Tensor, targets_R: Tensor) -> Tensor:
        """Return what the soft targets add to the sum of the rows' cross entropies, a scalar.

        targets: item numbers (from 1), of which `item_rows` gives the rows of the table.
        """
        items_RK = torch.cat([targets_R[:, None], self.items_VK[targets_R - 1]], 1)
        weights_RK = F.pad(-self.weights_VK[targets_R - 1], (1, 0), value=1.0)
        from_similar_RD = torch.einsum("rk,rkd->rd", weights_RK, item_rows(items_RK))
        return self.share * (queries_RD * from_similar_RD).sum()


def similar_items(share: float, table_VD: Tensor, known_V: Tensor) -> SimilarItems:
    """The items most like each one by the cosines of their rows; an item that is not known is like itself alone.

    It costs 2 V² D operations. An epoch of the exact softmax over P targets costs 6 P V D, so this is less than that
    where targets outnumber items.
    """
    V, others = len(table_VD), int(known_V.sum()) - 1
    unit_VD, own_V = F.normalize(table_VD, dim=1), torch.arange(V, device=table_VD.device)
    cosines, items = [], []
    for own_C in own_V.split(max(1, SCORES // V)):
        cosines_CV = (unit_VD[own_C] @ unit_VD.T).masked_fill_(~known_V, NEVER)
        cosines_CV.scatter_(1, own_C[:, None], NEVER)
        found = cosines_CV.topk(min(NEAREST, max(1, others)))
        cosines.append(found.values)
        items.append(found.indices)
    alone_V = ~known_V | (others < 1)
    items_VK = torch.where(alone_V[:, None], own_V[:, None], torch.cat(items)) + 1
    return SimilarItems(share=share, items_VK=items_VK, weights_VK=torch.softmax(torch.cat(cosines) / TEMPERATURE, 1))
