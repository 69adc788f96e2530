"""One trial: a Tune function that runs a Ray Train `TorchTrainer`, and the loop its workers run.

The trial's function lives in a small actor of its own; it starts the trainer, whose workers train and
report every epoch with a checkpoint. The trainer's run has a stable name, so that a trial that is
started again after a crash resumes from its last checkpoint by itself.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray
import torch
from ray import train, tune
from ray.train.torch import TorchConfig, TorchTrainer, get_device
from ray.tune.integration.ray_train import TuneReportCallback

from fame.adopt import adopt
from fame.config import Experiment
from fame.config_tree import experiment_from_dict, set_key
from fame.errors import DivergedError
from fame.export import resolve
from fame.fit import fit, read_trained
from fame.parallel import Workers
from fame.stage import EpochReport
from tuning.schedulers.restart import Restart, milestone_name, point_of, restart_of
from tuning.scratch import scratch_folder
from tuning.storage import below

HEAD = "node:__internal_head__"
DRIVER_RESOURCES = {"CPU": 0, HEAD: 0.001}
"""What a trial's own actor takes. It only waits: a CPU of its own would starve the workers (deadlock).
On the head node it outlives the death of a worker node."""
RETRIES = 2
"""How often a trial's worker or driver that died is started again."""
MILESTONES = 10
"""Most milestones of a trial that are kept; more than it has, for workers run ahead before they are paused."""
MILESTONE = "milestone"
"""Key of a report: whether its checkpoint is kept for other trials."""


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
    interval: int = 0
    """Epochs between the checkpoints that are kept for other trials to start from; 0 keeps none."""


def driver_resources(at_a_time: int) -> dict[str, float]:
    """As `DRIVER_RESOURCES`, but only so many trials have an actor at a time.

    For schedulers that pause trials: Tune counts paused trials where it limits the search, not here.
    Some of the head node is left for actors of Ray's own, 0.001 each: one for all trainers, and one for
    each trainer, also for a little while after its end. Without it no trainer starts.
    """
    share = 0.95 / at_a_time - 0.003
    return {**DRIVER_RESOURCES, HEAD: max(DRIVER_RESOURCES[HEAD], math.floor(share * 10_000) / 10_000)}


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
            checkpoint_config=checkpoint_config(plan.interval),
            callbacks=[TuneReportCallback()],
        ),
    ).fit()


def checkpoint_config(interval: int) -> train.CheckpointConfig:
    """The newest checkpoint is always kept, and carries the best weights, too."""
    if not interval:
        return train.CheckpointConfig(num_to_keep=1)
    return train.CheckpointConfig(num_to_keep=MILESTONES, checkpoint_score_attribute=MILESTONE)


def train_loop(config: dict[str, Any]) -> None:
    """What each worker of a trial runs."""
    plan: TrialPlan = config["plan"]
    dataset = ray.get(plan.dataset)
    threads = plan.cpus_per_worker
    torch.set_num_threads(threads)
    workers = Workers.current(get_device())
    restart = restart_of(config["point"])
    point = trial_experiment(plan.base, point_of(config["point"]))
    experiment = resolve(point, dataset, workers.device, threads)
    metric = experiment.train.metric
    with scratch_folder(train.get_context().get_experiment_name()) as folder:
        epoch = restart.seen
        for report in restore(folder, experiment, plan, restart)[epoch:]:
            # What was reported while the sweep's driver was away, or had just paused the trial, never reached it.
            train.report(reported_metrics(report, metric))
            epoch = report.epoch
        try:
            for report in fit(experiment, dataset.sequences, folder, workers, dataset=dataset):
                epoch = report.epoch
                checkpoint = train.Checkpoint.from_directory(folder) if workers.first else None
                metrics, name = reported_metrics(report, metric), None
                if plan.interval:
                    metrics[MILESTONE] = epoch % plan.interval == 0
                    name = milestone_name(epoch, restart.generation) if metrics[MILESTONE] else None
                train.report(metrics, checkpoint=checkpoint, checkpoint_dir_name=name)
        except (DivergedError, MemoryError, RuntimeError) as error:
            if not hopeless(error, workers):
                raise
            why = " ".join(str(error).split()) or type(error).__name__
            # 0 is the worst there is; with minus infinity ASHA's percentiles are not numbers, and it stops nothing.
            end = {"epoch": epoch + 1, "diverged": why, metric: math.nan, f"best_{metric}": 0.0}
            train.report(end)


def hopeless(error: Exception, workers: Workers) -> bool:
    """Whether the same settings would fail again, so that the trial reports it instead of being tried again.

    All workers meet a loss that is not finite; one alone may be out of memory, and has to end the others.
    """
    out_of_memory = isinstance(error, (MemoryError, torch.OutOfMemoryError)) or "can't allocate memory" in str(error)
    return isinstance(error, DivergedError) or (out_of_memory and workers.size == 1)


def restore(folder: Path, experiment: Experiment, plan: TrialPlan, restart: Restart) -> list[EpochReport]:
    """Put the state that the trial goes on from into `folder`; returns its history."""
    previous = train.get_checkpoint()
    if previous is not None:
        previous.to_directory(folder)
        trained = read_trained(folder)
        if restart.origin is None or restart.origin in [change.origin for change in trained.changes[-1:]]:
            return trained.history
    if restart.origin is None:
        return []
    with train.Checkpoint(below(plan.folder, restart.origin)).as_directory() as origin:
        adopt(Path(origin), folder, experiment, restart.origin)
    return read_trained(folder).history


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
