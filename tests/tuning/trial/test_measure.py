"""Numbers of a trial that need no training."""

from __future__ import annotations

import pytest
import torch

import fame
from fame.config import Experiment
from fame.datasets import Dataset
from fame.registry import models
from fame.runtime.parallel import Workers
from tuning.trial.measure import measured

WORKERS = Workers.current(torch.device("cpu"))


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return fame.Dataset.named("synthetic", size={"users": 60, "items": 30})


@pytest.mark.parametrize("name", ["sasrec", "fame", "gru4rec", "transition"])
def test_parameters_and_the_time_of_a_request_are_known_before_training(name: str, dataset: Dataset) -> None:
    model = models.get(name)
    experiment = Experiment(data=dataset.config, model=model.Config())
    found = measured(("latency_ms", "coverage@10", "parameters"), experiment, dataset, WORKERS)
    made = model(experiment.model, dataset.sequences.item_count, experiment.data.max_length)
    assert found.keys() == {"latency_ms", "parameters"}
    assert found["parameters"] == sum(weight.numel() for weight in made.parameters())
    assert found["latency_ms"] > 0


def test_nothing_is_measured_that_nobody_asked_for(dataset: Dataset) -> None:
    experiment = Experiment(data=dataset.config, model=models.get("sasrec").Config())
    assert measured(("coverage@10",), experiment, dataset, WORKERS) == {}
