"""The sanity lines of a sweep: two models that count and train nothing, on the same data.

A newcomer sees from them whether the best trial's value is good. They take seconds.
"""

from __future__ import annotations

import numpy as np
import torch

from fame.config import Experiment, TrainConfig
from fame.datasets import Dataset
from fame.datasets.batches import Batcher, device_values
from fame.datasets.sequences import training_windows
from fame.evaluation.final import evaluate_weights
from fame.models.base import EpochStart, SequentialModel
from fame.registry import models
from fame.runtime.parallel import Workers
from tuning.study.sanity import Sanity

COUNTING = ("popularity", "transition")
"""Models of the lines, the most basic one first."""


def sanity_lines(experiment: Experiment, dataset: Dataset) -> Sanity:
    """Return the metrics of each counting model by part. `experiment` says how trials are evaluated.

    The CPU computes them: the GPUs are for the trials. The models count at the start of an epoch and need no epoch.
    """
    workers, sequences = Workers.current(torch.device("cpu")), dataset.sequences
    windows = training_windows(sequences, "all", experiment.data.max_length)
    begun = EpochStart(
        index=0,
        sequences=sequences,
        batcher=Batcher(device_values(sequences, workers.device), windows),
        generator=np.random.default_rng(experiment.seed),
        workers=workers,
    )
    found: dict[str, dict[str, dict[str, float]]] = {}
    for name in COUNTING:
        counting: type[SequentialModel] = models.get(name)
        plain = Experiment(
            data=experiment.data,
            model=counting.Config(name=name),
            train=TrainConfig(metric=experiment.train.metric),
            evaluate=experiment.evaluate,
        )
        model = counting(plain.model, sequences.item_count, plain.data.max_length)
        with torch.no_grad():
            model.start_epoch(begun)
        metrics = evaluate_weights(plain, dataset, model.state_dict(), workers, lists=False).metrics
        found[name] = {part: dict(values) for part, values in metrics.items()}
    return found
