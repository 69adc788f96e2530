"""Trials by Ray Train: a Tune function that runs a `TorchTrainer`, whose workers train.

The function lives in a small actor of its own, which only waits. The trainer's run has a stable name. So a trial that
restarts after a crash resumes from its last checkpoint.

Reports go from the trainer through the function to Tune, one after another. Ray's own `TuneReportCallback` uses another
thread for that. If the trainer ends before Tune has asked for its last report, that thread waits for ever.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from typing import Any

import ray
from ray import train, tune
from ray.train import UserCallback
from ray.train.torch import TorchConfig, TorchTrainer, get_device
from ray.util.queue import Empty, Queue

from tuning.trial.checkpoints import checkpoint_config, mend
from tuning.trial.loop import Place, ended, reports
from tuning.trial.plan import TrialPlan

HEAD = "node:__internal_head__"
DRIVER_RESOURCES = {"CPU": 0, HEAD: 0.001}
"""Resources of a trial's own actor. It only waits: a CPU of its own would starve the workers (deadlock).
On the head node it outlives the death of a worker node."""
POLL_SECONDS = 0.2


def trainable(plan: TrialPlan, at_a_time: int | None) -> Any:
    """Return the function that Tune runs for each trial."""
    needed = DRIVER_RESOURCES if at_a_time is None else driver_resources(at_a_time)
    return tune.with_resources(tune.with_parameters(run_trial, plan=plan), needed)


def driver_resources(at_a_time: int) -> dict[str, float]:
    """Return `DRIVER_RESOURCES` for a limited number of actors at a time.

    Schedulers that pause trials need this: Tune counts paused trials where it limits the search, not here. Some of the
    head node is left for actors of Ray's own, 0.001 each: one for all trainers, and one for each trainer, also for a short
    time after its end. Without it no trainer starts.
    """
    share = 0.95 / at_a_time - 0.003
    return {**DRIVER_RESOURCES, HEAD: max(DRIVER_RESOURCES[HEAD], math.floor(share * 10_000) / 10_000)}


def run_trial(config: dict[str, Any], plan: TrialPlan) -> None:
    """The Tune trainable."""
    if (over := ended(config, plan)) is not None:
        tune.report(over)
        return
    trial_id, queue = tune.get_context().get_trial_id(), Queue(actor_options={"num_cpus": 0})
    trainer = TorchTrainer(
        train_loop,
        train_loop_config={"trial": config, "plan": plan, "mended": mend(plan.folder, trial_id, plan.interval)},
        torch_config=TorchConfig(backend="nccl" if plan.gpus_per_worker >= 1 else "gloo"),
        scaling_config=train.ScalingConfig(
            num_workers=plan.workers, use_gpu=plan.gpus_per_worker > 0, resources_per_worker=plan.worker_resources
        ),
        run_config=train.RunConfig(
            name=trial_id,
            storage_path=plan.folder,
            checkpoint_config=checkpoint_config(plan.interval),
            callbacks=[Forward(queue)],
        ),
    )
    for metrics in reported(trainer, queue):
        tune.report(metrics)


class Forward(UserCallback):
    """Puts the first worker's reports into a queue. Ray calls it in the trainer's own process."""

    def __init__(self, queue: Queue) -> None:
        self.queue = queue

    def after_report(self, run_context: Any, metrics: list[dict[str, Any]], checkpoint: Any) -> None:
        self.queue.put(metrics[0])


def reported(trainer: TorchTrainer, queue: Queue) -> Iterator[dict[str, Any]]:
    """Fit, and yield every report as it comes. An error of fitting is raised after the last report."""
    errors: list[BaseException] = []

    def fit() -> None:
        try:
            trainer.fit()
        except BaseException as error:  # raised below, where Tune hears of it
            errors.append(error)

    fitting = threading.Thread(target=fit, daemon=True)  # a trial that is stopped leaves it as it is
    fitting.start()
    ended = False
    while not ended:
        ended = not fitting.is_alive()  # looked at first: all reports are in the queue then
        try:
            while True:
                yield queue.get(timeout=POLL_SECONDS)
        except Empty:
            pass
    for error in errors:
        raise error


def train_loop(config: dict[str, Any]) -> None:
    """The training on each worker of a trial."""
    plan: TrialPlan = config["plan"]
    place = Place(
        trial_id=train.get_context().get_experiment_name(),
        device=get_device(),
        previous=train.get_checkpoint(),
        mended=config["mended"],
    )
    for report in reports(config["trial"], plan, ray.get(plan.dataset), place):
        checkpoint = None if report.state is None else train.Checkpoint.from_directory(report.state)
        train.report(report.metrics, checkpoint=checkpoint, checkpoint_dir_name=report.name)
