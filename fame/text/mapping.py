"""Where an item belongs that the training has not seen: a map from its text to a row of the item table.

    x = x̄ + a (e − ē) W

ē and x̄ are means over the items of the training that have text, e is the encoder's vector, and W is a ridge regression. Its rows
lie nearer together than trained ones, so no query would find a new item first. a gives them the same variance.

Letters: N items, E width of a text vector, D model width.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

import torch
from torch import Tensor

PENALTY = 0.01
"""Ridge penalty, as a share of the inputs' mean variance."""


def ridge(x_ND: Tensor, y_NK: Tensor) -> Tensor:
    """Return W, [D, K], that minimises |x W − y|² + λ |W|²."""
    gram_DD = x_ND.T @ x_ND
    gram_DD.diagonal().add_(PENALTY * gram_DD.diagonal().mean().clamp(min=1e-12))
    return torch.linalg.solve(gram_DD, x_ND.T @ y_NK)


@dataclass(frozen=True, kw_only=True, eq=False)
class TextMap:
    """ē, [E], a W, [E, D], and x̄, [D]."""

    text_E: Tensor
    weight_ED: Tensor
    item_D: Tensor

    @classmethod
    def fit(cls, e_NE: Tensor, x_ND: Tensor) -> TextMap:
        """The map from text vectors to trained rows of the item table."""
        text_E, item_D = e_NE.mean(0), x_ND.mean(0)
        weight_ED = ridge(e_NE - text_E, x_ND - item_D)
        spread = (x_ND - item_D).norm() / ((e_NE - text_E) @ weight_ED).norm().clamp(min=1e-12)
        return cls(text_E=text_E, weight_ED=spread * weight_ED, item_D=item_D)

    @classmethod
    def read(cls, tensors: Mapping[str, Tensor]) -> TextMap | None:
        """The map whose `tensors` these are; None if there are none."""
        return cls(**tensors) if tensors else None

    @property
    def tensors(self) -> dict[str, Tensor]:
        return {f.name: getattr(self, f.name) for f in fields(self)}

    def rows(self, e_NE: Tensor) -> Tensor:
        """Rows of the item table for text vectors, [N, D]."""
        return self.item_D + (e_NE - self.text_E) @ self.weight_ED
