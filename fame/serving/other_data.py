"""An exported model on other data: users it has not seen, items it may not know."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np

from fame.config import Experiment
from fame.config.metrics import LISTS
from fame.datasets import print_to_stderr
from fame.datasets.dataset import Dataset
from fame.datasets.items import Items, TextColumn
from fame.datasets.sequences import Sequences, known_items, targets
from fame.errors import UserError
from fame.evaluation.final import evaluate_model, item_vectors
from fame.runtime.parallel import Workers
from fame.serving.exported import ExportedModel


@dataclass(frozen=True, kw_only=True)
class OtherDataResult:
    """A model's metrics on the test part of other data."""

    metrics: dict[str, float]
    lists: dict[str, float]
    users: int
    """Users that were asked for."""
    without_history: int
    """Users with a target, and before it no item that the model knows; they are left out."""
    targets: int
    unknown_targets: int
    """Targets that the model does not know; they count as not found."""


def evaluate_on(exported: ExportedModel, dataset: Dataset, experiment: Experiment) -> OtherDataResult:
    """Evaluate a model on the test part of a dataset; `experiment` is the model's, with the rules of this evaluation.

    Raises `UserError` if no user can be asked for.
    """
    sequences = _in_numbers_of_model(exported, dataset)
    known = known_items(sequences, "test") if experiment.evaluate.candidates == "known" else None
    asked = targets(sequences, "test", known)
    with_target = int((sequences.offsets[1:] > sequences.test).sum())
    users = int((asked.counts > 0).sum())
    if not users:
        raise UserError(
            f"{dataset.config.name} has no user with a held-out item and, before it, one of the "
            f"{sequences.item_count:,} items that the model knows; check that the items' ids are those of the model"
        )
    workers = Workers.current()
    vectors = item_vectors(experiment, _items_of_model(exported, dataset.items), workers.device, print_to_stderr)
    kinds = [kind for kind in LISTS if kind != "diversity" or vectors is not None]
    model = exported.model.to(workers.device)
    found = evaluate_model(experiment, sequences, model, kinds, vectors, workers, ["test"])
    return OtherDataResult(
        metrics=found.metrics["test"],
        lists=found.lists["test"],
        users=users,
        without_history=with_target - users,
        targets=len(asked.items),
        unknown_targets=int((asked.items > sequences.item_count).sum()),
    )


def _in_numbers_of_model(exported: ExportedModel, dataset: Dataset) -> Sequences:
    """The dataset in the model's item numbers, for its test part.

    Histories are without the items that the model does not know. Targets of that kind have numbers above the model's.
    """
    sequences, ids = dataset.sequences, exported.catalogue.ids
    number = {str(id): place for place, id in enumerate(ids, start=1)}
    known = np.array([0, *(number.get(str(id), 0) for id in dataset.items.ids.tolist())], np.int32)[sequences.values]
    before = sequences.known("test")
    keep = ~before | (known > 0)
    kept = np.concatenate([[0], np.cumsum(keep)])
    return Sequences(
        values=np.where(known > 0, known, len(ids) + sequences.values)[keep].astype(np.int32),
        offsets=kept[sequences.offsets],
        item_count=len(ids),
        validation=kept[sequences.validation],
        test=kept[sequences.test],
    )


def _items_of_model(exported: ExportedModel, items: Items) -> Items:
    """The model's items with what the dataset says about them."""
    places = {str(id): place for place, id in enumerate(items.ids.tolist())}
    found = [places.get(str(id)) for id in exported.catalogue.ids]
    columns = {
        name: TextColumn.from_strings("" if place is None else texts[place] for place in found)
        for name, texts in items.columns.items()
    }
    return dataclasses.replace(items, ids=np.array(exported.catalogue.ids), columns=columns)
