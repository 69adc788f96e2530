"""The training of one trial, as a generator of reports.

The worker (`worker.py`) keeps the checkpoint of a report first, then passes the metrics on to Tune.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from ray.train import Checkpoint

from fame.config import Experiment
from fame.datasets import Dataset
from fame.errors import DivergedError
from fame.runtime.parallel import Workers
from fame.training.adopt import adopt
from fame.training.fit import CHECKPOINT, fit, read_trained
from fame.training.loop import EpochReport
from fame.training.resolve import resolve
from fame.training.stages import recipes
from tuning.faults import ENDS, MENDED, Fault, end
from tuning.faults.judge import judge
from tuning.storage.layout import below
from tuning.storage.remote_folder import open_folder
from tuning.study.aims import broken
from tuning.study.stage_uses import reported_uses
from tuning.study.trials import STANDARD_ERROR, number
from tuning.trial.checkpoints import MILESTONE
from tuning.trial.measure import measured
from tuning.trial.plan import TrialPlan, trial_experiment
from tuning.trial.pulse import BeatingFolder, Pulse
from tuning.trial.restart import Restart, fault_noted, milestone_name, point_of, restart_of
from tuning.trial.scratch import scratch_folder

TRIAL_SECONDS = "trial_seconds"
"""Key of a report: the time for which the trial has trained and evaluated, over all its processes."""


@dataclass(frozen=True, kw_only=True)
class TrialPlace:
    """The place of a trial in the sweep's storage."""

    trial_id: str
    previous: Checkpoint | None
    """The newest checkpoint of a restarted trial."""
    mended: str | None = None
    """The damage of its checkpoints."""


@dataclass(frozen=True, kw_only=True)
class Report:
    """A trial's report after an epoch, or at its end."""

    metrics: dict[str, Any]
    state: Path | None = None
    """Folder to keep as a checkpoint. It changes when the next report is asked for."""
    name: str | None = None
    """Name that the checkpoint must have, if any."""


def reports(
    config: Mapping[str, Any], plan: TrialPlan, dataset: Dataset, place: TrialPlace, device: torch.device
) -> Generator[Report]:
    """Train the trial that Tune configured, on this worker, and yield a report after every epoch.

    The last report tells a fault that the same settings would meet again. All workers meet a loss that is not finite. A
    fault of one worker among several is raised, because it has to end the others. Faults that can heal are raised, too.
    """
    torch.set_num_threads(plan.cpus_per_worker)  # for each trial: what ran here before may have changed it
    workers = Workers.current(device)
    if (over := ended(config, plan)) is not None:
        yield Report(metrics=over)
        return
    epoch, mended = restart_of(config).seen, {MENDED: place.mended} if place.mended else {}
    pulse = Pulse(place.trial_id, workers.rank, plan.hang_after)
    try:
        pulse.beat()
        for report in _epochs(config, plan, dataset, place, workers, pulse):
            epoch = report.metrics["epoch"]
            yield dataclasses.replace(report, metrics=report.metrics | mended)
            mended = {}
    except Exception as error:
        fault = judge(error)
        alone = workers.size == 1 or isinstance(error, DivergedError)
        if not alone or fault.kind not in ENDS:
            raise
        yield Report(metrics=end(fault, epoch, plan.metric))
    finally:
        pulse.end()


def ended(config: Mapping[str, Any], plan: TrialPlan) -> dict[str, Any] | None:
    """Return the last report of a trial that is over; None for another trial."""
    fault = fault_noted(config)
    return None if fault is None else end(fault, restart_of(config).seen, plan.metric)


def _epochs(
    config: Mapping[str, Any], plan: TrialPlan, dataset: Dataset, place: TrialPlace, workers: Workers, pulse: Pulse
) -> Iterator[Report]:
    """Yield the reports of a training without faults."""
    restart, numbers = restart_of(config), {}
    experiment = resolve(trial_experiment(plan.base, point_of(config)), dataset, workers.device, plan.cpus_per_worker)
    if not restart.seen:
        numbers = measured(plan.watched, experiment, dataset, workers)
        if over := broken(plan.limits, numbers):
            values = ", ".join(f"{name} is {number(value)}" for name, value in numbers.items())
            yield Report(
                metrics=end(Fault(kind="limit", reason=f"{values}; not {', '.join(over)}"), 0, plan.metric) | numbers
            )
            return
    shared: Any = None  # a folder whose other methods are those of the folder in it
    if plan.stages is not None and recipes(experiment):
        shared = BeatingFolder(open_folder(plan.stages), pulse)
    with scratch_folder(place.trial_id) as folder:
        trained, metrics, new = 0.0, {}, False
        for report in restore(folder, experiment, plan, restart, place.previous):
            trained += report.train_seconds + report.evaluate_seconds
            metrics = numbers | reported_metrics(report, plan.metric) | reported_uses(folder) | {TRIAL_SECONDS: trained}
            if report.epoch > restart.seen:
                # Reports made while the driver was away, or had just paused the trial, never reached it.
                new = True
                yield Report(metrics=metrics)
        kept = None
        training = fit(
            experiment,
            dataset.sequences,
            folder,
            workers,
            on_step=lambda done, of: pulse.beat(),
            shared=shared,
            dataset=dataset,
        )
        for report in training:
            state = folder if workers.first and _version(folder) != kept else None
            trained += report.train_seconds + report.evaluate_seconds
            new = True
            yield _with_state(report, plan, restart, state, numbers | reported_uses(folder) | {TRIAL_SECONDS: trained})
            kept = _version(folder)
        if not new:  # the sweep knows all epochs, but was killed before it heard that there are no more
            yield Report(metrics=metrics)


def _version(folder: Path) -> tuple[int, int] | None:
    """Identify a checkpoint. All reports of a stage that was taken over come with the same one."""
    path = folder / CHECKPOINT
    return (path.stat().st_ino, path.stat().st_mtime_ns) if path.exists() else None


def _with_state(
    report: EpochReport,
    plan: TrialPlan,
    restart: Restart,
    state: Path | None,
    more: Mapping[str, float],
) -> Report:
    """Return an epoch's report with the checkpoint in `state`. A milestone has a name, so that other trials find it."""
    metrics, name = {**reported_metrics(report, plan.metric), **more}, None
    if plan.interval:
        metrics[MILESTONE] = report.epoch % plan.interval == 0
        name = milestone_name(report.epoch, restart.generation) if metrics[MILESTONE] else None
    return Report(metrics=metrics, state=state, name=name)


def restore(
    folder: Path, experiment: Experiment, plan: TrialPlan, restart: Restart, previous: Checkpoint | None
) -> list[EpochReport]:
    """Put the state that the trial continues from into `folder`, and return its history."""
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
    """Return an epoch's report as the flat result for Tune, the search and MLflow."""
    error = {} if report.standard_error is None else {STANDARD_ERROR: report.standard_error}
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
        **error,
    }
