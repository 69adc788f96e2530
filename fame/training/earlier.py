"""Weights of an exported model that a training on newer data goes on from.

Items are matched by their ids. A new item starts from its text where the model starts from text, else as usual.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from fame.config import CHANGEABLE, Experiment
from fame.config.tree import to_dict
from fame.datasets import Dataset
from fame.errors import UserError
from fame.models.base import SequentialModel
from fame.registry import models
from fame.text.mapping import ridge
from fame.text.start import ItemStart


@dataclass(frozen=True, kw_only=True, eq=False)
class Earlier:
    """An earlier model's weights, and where its items are in the new data."""

    weights: Mapping[str, Tensor]
    numbers_V: Tensor
    """Earlier number of each item of the new data; 0 for a new item."""
    per_item: frozenset[str]
    """Names of the weights that have a row for each item."""
    digest: str
    """Hash of the weights."""

    @property
    def known_V(self) -> Tensor:
        return self.numbers_V > 0

    def to_dict(self) -> dict[str, int | str]:
        known = int(self.known_V.sum())
        return {"weights": self.digest, "known_items": known, "new_items": len(self.numbers_V) - known}

    @torch.no_grad()
    def load_into(self, model: SequentialModel, text: ItemStart | None) -> None:
        """Replace the model's weights by the earlier ones; new items keep theirs, or start from `text`."""
        count = len(self.numbers_V)
        for name, weight in model.named_parameters():
            old = self.weights[name]
            if name not in self.per_item:
                weight.copy_(old)
                continue
            # Row 0 is the padding, rows after the items belong to no item.
            first, after = min(len(weight) - count, 1), max(len(weight) - count - 1, 0)
            weight[:first] = old[:first]
            weight[first : first + count][self.known_V] = old[self.numbers_V[self.known_V] - 1 + first]
            if after:
                weight[-after:] = old[-after:]
        embedding = model.text_embedding() if text is not None else None
        if text is None or embedding is None:
            return
        # The text stage of another catalogue has other axes: the items of both say how to turn them.
        both_V, rows_VD = text.known_V & self.known_V, embedding.weight[1:]
        if both_V.any():
            text.table_VD = text.table_VD @ ridge(text.table_VD[both_V], rows_VD[both_V])
        model.start_from_items(text.table_VD, text.known_V & ~self.known_V)


def match(
    experiment: Experiment,
    dataset: Dataset,
    before: Experiment,
    weights: Mapping[str, Tensor],
    ids: Sequence[int | str],
) -> Earlier:
    """Return the earlier model's weights for a training of `experiment`.

    Raises `UserError` for another model, one that has weights for labels, or data with none of its items.
    """
    old, new = to_dict(before.model), to_dict(experiment.model)
    old["max_length"], new["max_length"] = before.data.max_length, experiment.data.max_length
    for key in old | new:
        if f"model.{key}" not in CHANGEABLE and old.get(key) != new.get(key):
            section = "data" if key == "max_length" else "model"
            raise UserError(
                f"{section}.{key} = {new.get(key)!r}: the earlier model has {old.get(key)!r}; use its config.yaml"
            )
    if experiment.model.reads_labels():
        raise UserError("model.labels = True: a training cannot go on with labels of other data; train anew")
    numbers = {id: number for number, id in enumerate(ids, start=1)}
    found = np.array([numbers.get(id, 0) for id in dataset.items.ids.tolist()], dtype=np.int64)
    if not found.any():
        raise UserError(f"none of the {len(found):,} items is known to the earlier model; are the ids the same?")
    digest = hashlib.sha256()
    for name, weight in sorted(weights.items()):
        digest.update(name.encode())
        digest.update(weight.contiguous().view(torch.uint8).numpy().data if weight.dim() else repr(weight).encode())
    return Earlier(
        weights=weights,
        numbers_V=torch.from_numpy(found),
        per_item=_per_item(experiment),
        digest=digest.hexdigest()[:16],
    )


def _per_item(experiment: Experiment) -> frozenset[str]:
    """Names of the model's weights whose first dimension grows with the catalogue."""
    model_class, length = models.get(experiment.model.name), experiment.data.max_length
    small, large = (dict(model_class(experiment.model, count, length).named_parameters()) for count in (5, 6))
    return frozenset(name for name in small if small[name].shape != large[name].shape)
