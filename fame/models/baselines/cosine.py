"""Models whose score is a cosine over a temperature: what they share.

    score_v = cos(q, x_v) / τ = (q / |q| / τ) · (x_v / |x_v|)

so the query is scaled by the model (`unit_queries`), and the item table holds directions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from fame.config import Count, ModelConfig, Positive, Rate
from fame.models.base import SequentialModel
from fame.models.layers.dropout import Dropout


@dataclass(frozen=True, kw_only=True)
class CosineConfig(ModelConfig):
    """The `model` section of these models, except for those that are transformers, too."""

    dim: Count = 64
    """D, width of items and queries."""
    dropout: Rate = 0.1
    """Dropout of the items of a history."""
    item_dropout: Rate = 0.1
    """Dropout of the items that are scored."""
    temperature: Positive = 0.07
    """τ, what cosines are divided by."""


class CosineModel(SequentialModel):
    """Item vectors that score by their direction alone; `config` has `dim`, `item_dropout` and `temperature`.

    The table is made from the embedding in each step, so there is no `item_embedding` to name.
    """

    def __init__(self, config: Any, item_count: int) -> None:
        super().__init__()
        self.config, self.item_count = config, item_count
        self.items = nn.Embedding(item_count + 1, config.dim, padding_idx=0)
        # A cosine has no scale, but the length of a vector decides how far one step of Adam turns it.
        bound = config.dim**-0.5
        nn.init.uniform_(self.items.weight[1:].detach(), -bound, bound)
        self.item_dropout = Dropout(config.item_dropout)

    def item_table(self) -> Tensor:
        return self._directions(self.items.weight[1:])

    def item_rows(self, items: Tensor) -> Tensor:
        return self._directions(self.items(items))

    def _directions(self, x: Tensor) -> Tensor:
        return F.normalize(self.item_dropout(x), dim=-1)

    def unit_queries(self, queries: Tensor) -> Tensor:
        """Queries as directions, over τ, [..., D]."""
        return F.normalize(queries, dim=-1) / self.config.temperature
