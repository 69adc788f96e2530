"""Scores of a cosine model are cosines over a temperature, whatever the lengths of the vectors."""

from __future__ import annotations

import torch
from torch.nn import functional as F

from fame.models.baselines.cosine import CosineConfig, CosineModel


class ItemsAlone(CosineModel):
    def hidden(self, items_BT, lengths_B):
        return self.item_rows(items_BT)


def test_scores_are_cosines_over_the_temperature() -> None:
    torch.manual_seed(0)
    model = ItemsAlone(CosineConfig(name="cosine", dim=4, temperature=0.5), 7).eval()
    with torch.no_grad():
        model.items.weight[3] *= 100
    queries_BD = torch.randn(3, 4)
    found_BV = model.unit_queries(queries_BD) @ model.item_table().T
    for query, row in zip(queries_BD, found_BV, strict=True):
        expected = F.cosine_similarity(query[None], model.items.weight[1:], dim=1) / 0.5
        torch.testing.assert_close(row, expected)
    items = torch.tensor([[2, 5]])
    torch.testing.assert_close(model.item_rows(items)[0], model.item_table()[items[0] - 1])
