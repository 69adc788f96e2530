"""An experiment with everything written out that the data or the machine decide."""

from __future__ import annotations

import dataclasses
from typing import Any

import torch

from fame.config import Experiment
from fame.datasets.dataset import Dataset
from fame.evaluation.final import diversity_column
from fame.losses.softmax import product_dtype
from fame.text.encoder import absolute_encoder


def resolve(experiment: Experiment, dataset: Dataset, device: torch.device, threads: int) -> Experiment:
    """Return the experiment so that it repeats elsewhere.

    Written out are: preparation and fingerprint of the data, the dtype that
    `train.precision: auto` stands for, where the text encoder lies, the number of threads. Raises `UserError` for an
    item column that the final evaluation would miss.
    """
    diversity_column(experiment.evaluate, dataset.items)
    precision: Any = str(product_dtype(experiment.train.precision, device)).removeprefix("torch.")
    data = dataclasses.replace(dataset.config, max_length=experiment.data.max_length)
    return dataclasses.replace(
        experiment,
        data=data,
        text=dataclasses.replace(experiment.text, encoder=absolute_encoder(experiment.text.encoder)),
        train=dataclasses.replace(experiment.train, precision=precision, threads=threads),
    )
