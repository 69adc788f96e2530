"""An exported folder as it is read back: the model, its experiment and its catalogue.

Reading needs torch and safetensors, not the dataset. `fame.serving.export` writes the folder.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from fame.artifacts.checkpoint import load_checkpoint, without_prefix
from fame.config import Experiment
from fame.config.tree import read_experiment
from fame.errors import UserError
from fame.models.base import SequentialModel
from fame.models.build import build_model
from fame.text.mapping import TextMap

WEIGHTS = "model.safetensors"
"""Weights that an exported folder serves."""
EVALUATED = "evaluated.safetensors"
"""Weights that were evaluated, where those that serve were trained once more on everything."""
TEXT_MAP = "text_map."
"""Prefix, in both files, of the map that places new items by their text (`fame.text.mapping`)."""


@dataclass(frozen=True, kw_only=True)
class Catalogue:
    """Ids and columns of the items, for serving. Item number i is entry i − 1 of each list."""

    ids: list[int | str]
    titles: list[str]
    counts: list[int]
    """How often each item occurs in the training data."""
    columns: dict[str, list[str]] = field(default_factory=dict)
    """Text of the items by column, for filters."""


@dataclass(frozen=True, kw_only=True)
class ExportedModel:
    """A model as read back from its folder."""

    model: SequentialModel
    experiment: Experiment
    catalogue: Catalogue
    facets: tuple[tuple[str, ...], ...] = ()
    """Names of the facets that each head learned from text; empty without that stage."""
    text_map: TextMap | None = None
    """Places new items by their text; None for a model that did not start from text."""


def load_model(folder: Path, weights: str = WEIGHTS) -> ExportedModel:
    """Read an exported folder, with the weights of this file. Raises `UserError` if it is not one, or is damaged."""
    if not (folder / weights).is_file():
        raise UserError(f"{folder} holds no exported model (no {weights}); give the folder that a training wrote")
    try:
        experiment = read_experiment(folder / "config.yaml")
    except UserError as error:
        raise UserError(f"{folder / 'config.yaml'} is missing or damaged ({error}); export the model again") from None
    tensors, header = load_checkpoint(folder / weights)
    catalogue = load_catalogue(folder)
    written = {"model": experiment.model.name, "item_count": len(catalogue.ids)}
    written["max_length"] = experiment.data.max_length
    for key, value in written.items():
        if header.get(key) != value:
            raise UserError(
                f"{folder / weights} has {key} {header.get(key)}, but the files beside it say {value}; "
                "export the model again"
            )
    text_map = without_prefix(TEXT_MAP, tensors)
    try:
        own = {name: tensor for name, tensor in tensors.items() if not name.startswith(TEXT_MAP)}
        model = build_model(experiment, len(catalogue.ids), own)
    except RuntimeError:  # of `load_state_dict`
        raise UserError(
            f"{folder / weights} does not fit the model in {folder / 'config.yaml'}; export the model again"
        ) from None
    facets = tuple(map(tuple, header.get("facets", ())))
    return ExportedModel(
        model=model, experiment=experiment, catalogue=catalogue, facets=facets, text_map=TextMap.read(text_map)
    )


def load_catalogue(folder: Path) -> Catalogue:
    """The catalogue of an exported folder. Raises `UserError` if it is missing or damaged."""
    try:
        catalogue = Catalogue(**json.loads((folder / "items.json").read_text(encoding="utf-8")))
        lists: list[Sequence[object]] = [catalogue.ids, catalogue.titles, catalogue.counts, *catalogue.columns.values()]
        if len({len(values) for values in lists}) != 1:
            raise ValueError("its lists are not equally long")
        for key, kinds in {"ids": (int, str), "titles": (str,), "counts": (int,)}.items():
            if any(type(value) not in kinds for value in getattr(catalogue, key)):
                raise TypeError(f"{key} are of another kind")
        if any(type(text) is not str for texts in catalogue.columns.values() for text in texts):
            raise TypeError("columns are of another kind")
        # They are shown: a title from somebody else must not steer the terminal.
        return dataclasses.replace(catalogue, titles=[printable(title) for title in catalogue.titles])
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise UserError(f"{folder / 'items.json'} is missing or damaged ({error}); export the model again") from None


def printable(text: str) -> str:
    """`text` with a space for every character that is not shown."""
    return text if text.isprintable() else "".join(c if c.isprintable() else " " for c in text)
