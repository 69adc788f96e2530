"""How a training uses the text stage's result: how items start, and what holds them there."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from fame.artifacts import StageRecipe
from fame.config import Experiment, TextConfig
from fame.config.tree import to_dict
from fame.losses.similar import SimilarItems, similar_items

if TYPE_CHECKING:
    from fame.datasets.dataset import Dataset


VERSION = 2
"""Version of the text stage. Raise it when the same settings come out differently."""
AFTER = ("scale", "freeze_epochs", "delta", "smoothing")
"""Settings that say what training does with the stage's result; the result does not depend on them."""


def text_blocks(experiment: Experiment) -> tuple[int, int]:
    """The blocks of an item's vector and its width, of a model that starts from text."""
    blocks = experiment.model.item_blocks()
    assert blocks is not None, f"model '{experiment.model.name}' does not start from text"
    return blocks


def text_recipe(experiment: Experiment, dataset: Dataset | None = None) -> StageRecipe | None:
    """Return the settings that decide the text stage's result; None without the stage.

    Without the dataset its content is left out, which is the same for all trials of a sweep.
    """
    if not experiment.text.enabled:
        return None
    heads, dim = text_blocks(experiment)
    settings = {
        **{f"text.{key}": value for key, value in to_dict(experiment.text).items() if key not in AFTER},
        "model.heads": heads,
        "model.dim": dim,
        "seed": experiment.seed,
    }
    facets = experiment.text.facets
    if dataset is not None:
        settings |= {"items": dataset.items_fingerprint, "facets": list(dataset.facets)}
        facets = dataset.facets if facets is None else facets
    if facets is not None:  # as many as there are is all
        settings["text.facet_count"] = min(experiment.text.facet_count or len(facets), len(facets))
    return StageRecipe(stage="text", version=VERSION, settings=settings)


class ItemStart:
    """Item vectors to start from.

    `text.freeze_epochs` keeps the item table as it is in the first epochs of the stage that starts
    from it. With `text.delta` = λ items are x = c + δ: frozen content c from text and a delta that
    starts at 0 and decays by lr·λ a step. The weight of the embedding is the sum, so that evaluation,
    checkpoints and serving know nothing of it: δ ← (1 − lr·λ) δ is x ← x + lr·λ (c − x). With `text.smoothing` the
    vectors also say which items are alike.
    """

    def __init__(self, config: TextConfig, stage: dict[str, Tensor]) -> None:
        self.config = config
        self.table_VD = stage["table_VD"] * config.scale
        self.known_V = stage["known_V"]

    def to(self, device: torch.device) -> ItemStart:
        self.table_VD, self.known_V = self.table_VD.to(device), self.known_V.to(device)
        return self

    @cached_property
    def similar(self) -> SimilarItems | None:
        """The items that share a target's part of the loss with it; None without `text.smoothing`."""
        if not self.config.smoothing:
            return None
        return similar_items(self.config.smoothing, self.table_VD, self.known_V)

    @torch.no_grad()
    def hold(self, embedding: nn.Embedding, lr: float, frozen: bool) -> None:
        """Between a backward pass and the optimiser's step: leave the table out of it, or let the delta decay."""
        weight = embedding.weight
        if frozen:
            weight.grad = None
        elif self.config.delta and weight.grad is not None:
            # More than 1 would throw the delta to the other side.
            pull_V1 = min(1.0, lr * self.config.delta) * self.known_V[:, None].to(weight.dtype)
            if weight.grad.is_sparse:
                # Rows that the step does not read stay where they are, as in the optimiser.
                rows = weight.grad.coalesce().indices()[0]
                rows = rows[rows > 0]
                weight[rows] = weight[rows].lerp_(self.table_VD[rows - 1], pull_V1[rows - 1])
            else:
                weight[1:].lerp_(self.table_VD, pull_V1)
