"""Training the chosen configuration once more, on everything, for its best number of epochs.

What is held out for evaluation is the newest of the data, and the most worth. With it in training nothing is left to
evaluate by. So each stage has as many epochs as in the training that was evaluated, and each step the same rate.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch import Tensor

from fame.artifacts.checkpoint import load_checkpoint, save_checkpoint, with_prefix, without_prefix
from fame.datasets import Dataset
from fame.datasets.sequences import Sequences
from fame.runtime.parallel import Workers
from fame.text.facets import item_labels
from fame.training.earlier import Earlier
from fame.training.fit import Trained, experiment_key
from fame.training.loop import StageRun
from fame.training.shared_stages import items_from_text
from fame.training.stages import stages

REFIT = "refit.safetensors"
"""Checkpoint of the last finished epoch."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Refit:
    """A model that was trained on everything."""

    weights: dict[str, Tensor]
    epochs: dict[str, int]
    """Epochs by stage."""
    interactions: int
    seconds: float
    """Training time of this process."""

    def to_dict(self) -> dict[str, Any]:
        return {"epochs": self.epochs, "interactions": self.interactions, "train_seconds": self.seconds}


def everything(sequences: Sequences) -> Sequences:
    """The same sequences with nothing held out."""
    ends = sequences.offsets[1:]
    return dataclasses.replace(sequences, validation=ends, test=ends)


def best_epochs(trained: Trained) -> dict[str, int]:
    """Epochs of each stage up to its best one."""
    found: dict[str, int] = {}
    before = 0
    for stage in dict.fromkeys(report.stage for report in trained.history):
        reports = [report for report in trained.history if report.stage == stage]
        found[stage] = reports[-1].best_epoch - before
        before += len(reports)
    return found


def refit(
    trained: Trained,
    dataset: Dataset,
    folder: Path,
    workers: Workers | None = None,
    on_step: Callable[[int, int], None] | None = None,
    on_epoch: Callable[[str, int, int, float], None] | None = None,
    earlier: Earlier | None = None,
) -> Refit:
    """Train on everything; a call that was interrupted goes on after its last finished epoch.

    `on_epoch(stage, done, of, loss)` is called after every epoch. `earlier` is what the training went on from. Raises
    `DivergedError` if the loss is not finite.
    """
    experiment, workers = trained.experiment, workers or Workers.current()
    sequences, epochs, path = everything(dataset.sequences), best_epochs(trained), folder / REFIT
    origin = f" {earlier.digest}" if earlier is not None else ""
    key, began = f"{experiment_key(experiment)} {epochs}{origin}", time.perf_counter()
    tensors, header = load_checkpoint(path) if path.exists() else ({}, {})
    if header.get("key") != key:
        tensors, header = {}, {"done": 0}
    # An epoch's random numbers follow from its number, so it keeps the one that it had.
    first = {report.stage: report.epoch for report in reversed(trained.history)}
    text = items_from_text(experiment, dataset, workers, folder, None) if experiment.text.enabled else None
    labels_VM = item_labels(experiment, dataset)
    start, done, passed = without_prefix("start.", tensors), header["done"], 0
    for stage in stages(experiment, dataset):
        if stage.name not in epochs:  # the training went on from an earlier model
            continue
        last = epochs[stage.name]
        if done >= passed + last and stage.index + 1 < len(epochs):  # `start` has its weights
            passed += last
            continue
        run = StageRun(experiment, stage, sequences, workers, start, on_step, text, labels_VM, earlier)
        if done > passed:
            run.restore(tensors)
        for index in range(done - passed, last):
            loss, _ = run.train_epoch(first[stage.name] + index, index)
            done += 1
            # The next stage starts from this one's weights.
            before = run.model.state_dict() if index + 1 == last and stage.index + 1 < len(epochs) else start
            save_checkpoint(path, {**run.tensors(), **with_prefix("start.", before)}, {"key": key, "done": done})
            if on_epoch:
                on_epoch(stage.name, index + 1, last, loss)
        start = {name: weight.detach().cpu().clone() for name, weight in run.model.state_dict().items()}
        passed += last
    interactions, seconds = len(sequences.values), time.perf_counter() - began
    return Refit(weights=start, epochs=epochs, interactions=interactions, seconds=seconds)
