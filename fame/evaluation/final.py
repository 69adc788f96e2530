"""The evaluation that a finished training gets once: validation and test, by metric, by frequency and by user."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from fame.config import EvaluateConfig, Experiment
from fame.config.metrics import ACCURACY, LISTS
from fame.datasets import print_to_stderr
from fame.datasets.batches import device_values
from fame.datasets.dataset import Dataset
from fame.datasets.entry import Report
from fame.datasets.items import Items
from fame.datasets.sequences import PARTS, Part, Sequences
from fame.errors import UserError, nearest
from fame.evaluation.evaluator import Evaluator
from fame.evaluation.lists import LabelVectors, TextVectors, Vectors
from fame.models.base import SequentialModel
from fame.models.build import build_model
from fame.runtime.parallel import Workers

LABELS = ("categories", "genres", "brand")
"""Item columns that diversity compares where none is named."""
TEXT = "text"
"""The value of `evaluate.diversity` that stands for the text encoder's vectors."""


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """The results of a model's final evaluation."""

    metrics: dict[Part, dict[str, float]]
    """Metrics of accuracy."""
    lists: dict[Part, dict[str, float]]
    """Metrics of the lists that users get."""
    by_frequency: dict[Part, dict[str, dict[str, float]]]
    """Metrics of accuracy by how often the target occurs in training."""
    ranks: dict[Part, Tensor]
    """Rank of every user's held-out items, in the order of the data."""
    counts: dict[Part, Tensor]
    """Held-out items of each user that has any; parts where each has one are left out."""


def evaluate_weights(
    experiment: Experiment, dataset: Dataset, weights: dict[str, Tensor], workers: Workers, lists: bool = True
) -> Evaluation:
    """Evaluate trained weights on the held-out items of validation and test; `lists`: also the lists that users get."""
    model = build_model(experiment, dataset.sequences.item_count, weights).to(workers.device)
    vectors = item_vectors(experiment, dataset.items, workers.device, print_to_stderr) if lists else None
    kinds = [kind for kind in LISTS if kind != "diversity" or vectors is not None] if lists else []
    return evaluate_model(experiment, dataset.sequences, model, kinds, vectors, workers)


def evaluate_model(
    experiment: Experiment,
    sequences: Sequences,
    model: SequentialModel,
    lists: Sequence[str],
    vectors: Vectors | None,
    workers: Workers,
    parts: Sequence[Part] = PARTS,
) -> Evaluation:
    """Evaluate a model on the held-out items of some parts, and the kinds of metrics in `lists`."""
    config, values = experiment.evaluate, device_values(sequences, workers.device)
    settings = (experiment.data.max_length, config, workers, config.names(ACCURACY))
    evaluators = {part: Evaluator(sequences, values, part, *settings) for part in parts}
    ranks = {part: evaluator.ranks(model) for part, evaluator in evaluators.items()}
    return Evaluation(
        metrics={part: evaluator.means(ranks[part]) for part, evaluator in evaluators.items()},
        lists={part: evaluator.lists(model, config.names(lists), vectors) for part, evaluator in evaluators.items()},
        by_frequency={part: evaluator.by_frequency(ranks[part]) for part, evaluator in evaluators.items()},
        ranks={part: evaluator.by_target(ranks[part]) for part, evaluator in evaluators.items()},
        counts={
            part: torch.from_numpy(evaluator.counts[evaluator.counts > 0]).int()
            for part, evaluator in evaluators.items()
            if not evaluator.single
        },
    )


def diversity_column(config: EvaluateConfig, items: Items) -> str | None:
    """The item column that diversity compares, or `TEXT`; None where nothing is named and the items have none of the usual.

    Raises `UserError` for a column that the items do not have.
    """
    name = config.diversity
    if name is None:
        return next((label for label in LABELS if label in items.columns), None)
    if name != TEXT and name not in items.columns:
        rule = nearest(name, (*items.columns, TEXT))
        raise UserError(f"evaluate.diversity = {name!r}: the items have no such column; {rule}")
    return name


def item_vectors(experiment: Experiment, items: Items, device: torch.device, report: Report) -> Vectors | None:
    """Return the items' vectors that diversity compares; None without any."""
    name = diversity_column(experiment.evaluate, items)
    if name == TEXT:
        from fame.text.pretrain import encoded_items

        return TextVectors(*encoded_items(experiment.text, items, device, report), len(items))
    return None if name is None else LabelVectors(items.columns[name])
