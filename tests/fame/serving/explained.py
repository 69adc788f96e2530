"""Small models as if they had been exported, and what a picture of their explanation holds."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

import torch

from fame.config.tree import experiment_from_dict
from fame.models.fame import Fame, FameConfig
from fame.serving.exported import Catalogue, ExportedModel
from fame.serving.recommender import Recommender
from tests.fame.helpers import randomise

ITEMS, LENGTH = 12, 5


def recommender(model: torch.nn.Module, facets: tuple[tuple[str, ...], ...] = (), **sections: object) -> Recommender:
    """A model of `ITEMS` items that reads `LENGTH` of them, as if it had been exported."""
    tree = {"model": {"name": model.config.name}, "data": {"max_length": LENGTH}, **sections}
    catalogue = Catalogue(
        ids=[f"i{v}" for v in range(ITEMS)], titles=[f"Title {v}" for v in range(ITEMS)], counts=[*range(ITEMS)]
    )
    exported = ExportedModel(model=model, experiment=experiment_from_dict(tree), catalogue=catalogue, facets=facets)
    return Recommender(exported)


def fame(seed: int = 0, **settings: object) -> Fame:
    return randomise(
        Fame(FameConfig(**{"dim": 6, "heads": 2, "experts": 3, "inner": 2, **settings}), ITEMS, LENGTH), seed
    )


def drawn(text: str) -> tuple[ElementTree.Element, list[str]]:
    """The picture's root and its texts."""
    root = ElementTree.fromstring(text)
    return root, [element.text for element in root.iter("{http://www.w3.org/2000/svg}text")]
