"""The training of one trial as a generator of reports, whoever runs it.

A runner (`torch_trainer`, `inline`) says where the trial runs, hands over its newest checkpoint, and
for every report first keeps the checkpoint that comes with it, then passes the metrics on to Tune.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from ray.train import Checkpoint

from fame.adopt import adopt
from fame.config import Experiment
from fame.datasets import Dataset
from fame.errors import DivergedError
from fame.export import resolve
from fame.fit import CHECKPOINT, fit, read_trained
from fame.parallel import Workers
from fame.pipeline import recipes
from fame.stage import EpochReport
from tuning.remote_folder import open_folder
from tuning.schedulers.restart import Restart, milestone_name, point_of, restart_of
from tuning.scratch import scratch_folder
from tuning.stages import reported_uses
from tuning.storage import below
from tuning.trial.plan import TrialPlan, trial_experiment

MILESTONE = "milestone"
"""Key of a report: whether its checkpoint is kept for other trials."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a trial runs."""

    trial_id: str
    device: torch.device
    previous: Checkpoint | None
    """The newest checkpoint of this trial, if it is started again."""


@dataclass(frozen=True, kw_only=True)
class Report:
    """What a trial tells after an epoch, or of its end."""

    metrics: dict[str, Any]
    state: Path | None = None
    """Folder to keep as a checkpoint; it changes once the next report is asked for."""
    name: str | None = None
    """Name that the checkpoint has to have, if any."""


def reports(config: Mapping[str, Any], plan: TrialPlan, dataset: Dataset, place: Place) -> Iterator[Report]:
    """Train the trial that Tune configured, on this worker, and yield a report after every epoch."""
    threads = plan.cpus_per_worker
    torch.set_num_threads(threads)  # for each trial: what ran here before may have changed it
    workers = Workers.current(place.device)
    restart = restart_of(config)
    experiment = resolve(trial_experiment(plan.base, point_of(config)), dataset, workers.device, threads)
    metric = experiment.train.metric
    shared = open_folder(plan.stages) if plan.stages is not None and recipes(experiment) else None
    with scratch_folder(place.trial_id) as folder:
        epoch = restart.seen
        for report in restore(folder, experiment, plan, restart, place.previous)[epoch:]:
            # What was reported while the sweep's driver was away, or had just paused the trial, never reached it.
            yield Report(metrics=reported_metrics(report, metric) | reported_uses(folder))
            epoch = report.epoch
        kept = None
        try:
            for report in fit(experiment, dataset.sequences, folder, workers, dataset=dataset, shared=shared):
                epoch = report.epoch
                state = folder if workers.first and _version(folder) != kept else None
                yield _with_state(report, metric, plan, restart, state, reported_uses(folder))
                kept = _version(folder)
        except (DivergedError, MemoryError, RuntimeError) as error:
            if not hopeless(error, workers):
                raise
            why = " ".join(str(error).split()) or type(error).__name__
            # 0 is the worst there is; with minus infinity ASHA's percentiles are not numbers, and it stops nothing.
            yield Report(
                metrics={"epoch": epoch + 1, "diverged": why, metric: math.nan, f"best_{metric}": 0.0},
            )


def _version(folder: Path) -> tuple[int, int] | None:
    """Tells checkpoints apart: all reports of a stage that was taken over come with the same one."""
    path = folder / CHECKPOINT
    return (path.stat().st_ino, path.stat().st_mtime_ns) if path.exists() else None


def _with_state(
    report: EpochReport,
    metric: str,
    plan: TrialPlan,
    restart: Restart,
    state: Path | None,
    uses: Mapping[str, float],
) -> Report:
    """An epoch's report with the checkpoint in `state`; a milestone's is named for others to find it."""
    metrics, name = reported_metrics(report, metric) | uses, None
    if plan.interval:
        metrics[MILESTONE] = report.epoch % plan.interval == 0
        name = milestone_name(report.epoch, restart.generation) if metrics[MILESTONE] else None
    return Report(metrics=metrics, state=state, name=name)


def hopeless(error: Exception, workers: Workers) -> bool:
    """Whether the same settings would fail again, so that the trial reports it instead of being tried again.

    All workers meet a loss that is not finite; one alone may be out of memory, and has to end the others.
    """
    out_of_memory = isinstance(error, (MemoryError, torch.OutOfMemoryError)) or "can't allocate memory" in str(error)
    return isinstance(error, DivergedError) or (out_of_memory and workers.size == 1)


def restore(
    folder: Path, experiment: Experiment, plan: TrialPlan, restart: Restart, previous: Checkpoint | None
) -> list[EpochReport]:
    """Put the state that the trial goes on from into `folder`; returns its history."""
    if previous is not None:
        previous.to_directory(folder)
        trained = read_trained(folder)
        if restart.origin is None or restart.origin in [change.origin for change in trained.changes[-1:]]:
            return trained.history
    if restart.origin is None:
        return []
    with Checkpoint(below(plan.folder, restart.origin)).as_directory() as origin:
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
