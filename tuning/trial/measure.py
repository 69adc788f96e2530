"""The numbers of a trial that need no training: its parameters, and the time of a request."""

from __future__ import annotations

import time
from collections.abc import Collection

import torch

from fame.config import Experiment
from fame.datasets import Dataset
from fame.runtime.parallel import Workers
from fame.text.facets import item_labels
from fame.training.stages import stages
from tuning.study.aims import UNTRAINED

REQUESTS, TOP = 20, 10
"""Timed requests, and the items that each asks for."""


def measured(names: Collection[str], experiment: Experiment, dataset: Dataset, workers: Workers) -> dict[str, float]:
    """Return those of `names` that need no training. All workers get the numbers of the first one.

    `latency_ms` is the fastest of several requests of one user with the longest history, on the trial's device. Other
    trials slow the machine down, and the fastest request least of all.
    """
    asked = [name for name in UNTRAINED if name in names]
    if not asked:
        return {}
    found = torch.zeros(len(UNTRAINED), dtype=torch.float64, device=workers.device)
    if workers.first:
        found[:] = torch.tensor(_measure(experiment, dataset, workers.device), dtype=torch.float64)
    values = dict(zip(UNTRAINED, workers.sum(found).tolist(), strict=True))
    return {name: values[name] for name in asked}


@torch.no_grad()
def _measure(experiment: Experiment, dataset: Dataset, device: torch.device) -> tuple[float, float]:
    stage, count, length = stages(experiment, dataset)[-1], dataset.sequences.item_count, experiment.data.max_length
    model = stage.model_class(stage.model, count, length)
    if (labels_VM := item_labels(experiment, dataset)) is not None:
        model.start_from_labels(labels_VM)
    model = model.to(device).eval()
    scorer = model.scorer()
    items_1T = torch.arange(length, device=device)[None] % count + 1
    lengths_1 = torch.tensor([length], device=device)
    times = []
    for _ in range(REQUESTS):
        began = time.perf_counter()
        scorer.scores(model.encode(items_1T, lengths_1)).topk(min(TOP, count)).indices.tolist()  # waits for the device
        times.append(time.perf_counter() - began)
    return sum(weight.numel() for weight in model.parameters()), 1000 * min(times)
