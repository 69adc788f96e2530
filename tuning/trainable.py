"""One trial: a Tune function that runs a Ray Train `TorchTrainer`, and the loop its workers run.

The trial's function lives in a small actor of its own; it starts the trainer, whose workers train and
report every epoch with a checkpoint. The trainer's run has a stable name, so that a trial that is
started again after a crash resumes from its last checkpoint by itself.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray
import torch
from ray import train, tune
from ray.train.torch import TorchConfig, TorchTrainer, get_device
from ray.tune.integration.ray_train import TuneReportCallback

from fame.config import Experiment
from fame.config_tree import experiment_from_dict, set_key
from fame.errors import DivergedError
from fame.export import resolve
from fame.fit import EpochReport, fit, read_trained
from fame.parallel import Workers

DRIVER_RESOURCES = {"CPU": 0, "node:__internal_head__": 0.001}
"""What a trial's own actor takes. It only waits: a CPU of its own would starve the workers (deadlock).
On the head node it outlives the death of a worker node."""
RETRIES = 2
"""How often a trial's worker or driver that died is started again."""


@dataclass(frozen=True, kw_only=True)
class TrialPlan:
    """What all trials of a sweep share."""

    base: Mapping[str, Any]
    """Settings of every trial, as nested dictionaries; a trial's own point is set into them."""
    dataset: ray.ObjectRef
    """The prepared dataset, once in the object store."""
    folder: str
    """Where the trainers keep their checkpoints: a path or URI that every node reaches."""
    workers: int
    cpus_per_worker: int
    gpus_per_worker: float


def trial_experiment(base: Mapping[str, Any], point: Mapping[str, Any]) -> Experiment:
    """The experiment of the trial at `point`."""
    tree = {key: dict(value) if isinstance(value, Mapping) else value for key, value in base.items()}
    for key, value in point.items():
        set_key(tree, key, value)
    return experiment_from_dict(tree)


def run_trial(config: dict[str, Any], plan: TrialPlan) -> None:
    """The Tune trainable."""
    on_gpu = plan.gpus_per_worker > 0
    resources = {"CPU": plan.cpus_per_worker} | ({"GPU": plan.gpus_per_worker} if on_gpu else {})
    TorchTrainer(
        train_loop,
        train_loop_config={"point": config, "plan": plan},
        torch_config=TorchConfig(backend="nccl" if plan.gpus_per_worker >= 1 else "gloo"),
        scaling_config=train.ScalingConfig(num_workers=plan.workers, use_gpu=on_gpu, resources_per_worker=resources),
        run_config=train.RunConfig(
            name=tune.get_context().get_trial_id(),
            storage_path=plan.folder,
            failure_config=train.FailureConfig(max_failures=RETRIES),
            # The newest checkpoint carries the best weights, too.
            checkpoint_config=train.CheckpointConfig(num_to_keep=1),
            callbacks=[TuneReportCallback()],
        ),
    ).fit()


def train_loop(config: dict[str, Any]) -> None:
    """What each worker of a trial runs."""
    plan: TrialPlan = config["plan"]
    dataset = ray.get(plan.dataset)
    threads = plan.cpus_per_worker
    torch.set_num_threads(threads)
    workers = Workers.current(get_device())
    experiment = resolve(trial_experiment(plan.base, config["point"]), dataset, workers.device, threads)
    with tempfile.TemporaryDirectory(prefix="fame-trial-") as temporary:
        folder = Path(temporary)
        epoch = 0
        previous = train.get_checkpoint()
        if previous is not None:
            previous.to_directory(folder)
            # What was reported while the sweep's driver was away never reached it.
            for report in read_trained(folder).history:
                train.report(reported_metrics(report, experiment.train.metric))
        try:
            for report in fit(experiment, dataset.sequences, folder, workers):
                epoch = report.epoch
                checkpoint = train.Checkpoint.from_directory(folder) if workers.first else None
                train.report(reported_metrics(report, experiment.train.metric), checkpoint=checkpoint)
        except DivergedError as error:
            # Not raised: the same settings would diverge again, so a retry is of no use.
            train.report({"epoch": epoch + 1, experiment.train.metric: float("nan"), "diverged": str(error)})


def reported_metrics(report: EpochReport, metric: str) -> dict[str, Any]:
    """An epoch's report as the flat result that Tune, the search and MLflow see."""
    return {
        **report.validation,
        f"best_{metric}": report.best,
        "best_epoch": report.best_epoch,
        "epoch": report.epoch,
        "stage": report.stage,
        "loss": report.loss,
        "train_seconds": report.train_seconds,
        "evaluate_seconds": report.evaluate_seconds,
        "items_per_second": report.items_per_second,
        "padding": report.padding,
        "finished": report.finished,
    }
