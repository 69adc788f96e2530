"""The evaluation that a finished training gets once: validation and test, by metric, by frequency and by user."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from fame.config import Experiment
from fame.datasets.batches import device_values
from fame.datasets.dataset import Dataset
from fame.datasets.sequences import PARTS, Part
from fame.evaluation.evaluator import Evaluator
from fame.models.build import build_model
from fame.runtime.parallel import Workers


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """What the final evaluation of a model found."""

    metrics: dict[Part, dict[str, float]]
    by_frequency: dict[Part, dict[str, dict[str, float]]]
    """Metrics by how often the target occurs in training."""
    ranks: dict[Part, Tensor]
    """Rank of every user's held-out item, in the order of the users in the data."""


def evaluate_weights(
    experiment: Experiment, dataset: Dataset, weights: dict[str, Tensor], workers: Workers
) -> Evaluation:
    """Rank the held-out items of validation and test by trained weights."""
    model = build_model(experiment, dataset.sequences.item_count, weights).to(workers.device)
    values = device_values(dataset.sequences, workers.device)
    settings = (experiment.data.max_length, experiment.evaluate, workers)
    evaluators = {part: Evaluator(dataset.sequences, values, part, *settings) for part in PARTS}
    ranks = {part: evaluator.ranks(model) for part, evaluator in evaluators.items()}
    return Evaluation(
        metrics={part: evaluator.means(ranks[part]) for part, evaluator in evaluators.items()},
        by_frequency={part: evaluator.by_frequency(ranks[part]) for part, evaluator in evaluators.items()},
        ranks={part: evaluator.by_user(ranks[part]) for part, evaluator in evaluators.items()},
    )
