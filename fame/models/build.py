"""A trained model from its experiment and its weights."""

from __future__ import annotations

from torch import Tensor

from fame.config import Experiment
from fame.models.base import SequentialModel
from fame.registry import models


def build_model(experiment: Experiment, item_count: int, weights: dict[str, Tensor]) -> SequentialModel:
    """Return the experiment's model with these weights, in evaluation mode."""
    model = models.get(experiment.model.name)(experiment.model, item_count, experiment.data.max_length)
    model.load_state_dict(weights)
    return model.eval()
