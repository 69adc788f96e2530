"""Running a planned sweep on Ray, from its first trial or from where it was killed."""

from __future__ import annotations

import logging

import ray
from ray import tune
from ray.tune import Tuner

from fame.config_tree import write_yaml
from fame.datasets import Dataset
from fame.provenance import provenance
from tuning import resources, summary
from tuning.export import Best, export_best
from tuning.plan import Plan
from tuning.progress import ProgressCallback
from tuning.schedulers import build_scheduler
from tuning.search import StudySearch
from tuning.storage import Storage, below
from tuning.tracking import Tracker
from tuning.tracking_callback import TrackingCallback
from tuning.trainable import DRIVER_RESOURCES, RETRIES, TrialPlan, run_trial


def run_sweep(plan: Plan, storage: Storage, dataset: Dataset) -> int:
    """Run what is left of the sweep, export the best, print the table; returns the exit code."""
    options = plan.options
    resources.connect(options.address)
    try:
        share = resources.plan(options, *resources.found())
        tracker = open_tracker(plan, storage, dataset)
        if not storage.exists:
            storage.create(plan.to_record(dataset.fingerprint))
        summary.print_plan(plan, dataset, share, storage)
        search = StudySearch(
            plan.space,
            storage.study,
            name=storage.name,
            sampler=options.sampler,
            seed=options.seed,
            metric=options.metric,
            trials=plan.trials,
        )
        tuner, search = build_tuner(plan, storage, dataset, share, tracker, search)
        interrupted = run_until_done_or_interrupted(tuner)
        best = export_best(search.study, storage, dataset)
        track_end(tracker, storage, best, interrupted)
        summary.print_results(plan, storage, search.study, best, tracker)
        return summary.exit_code(search.study, interrupted)
    finally:
        ray.shutdown()


def build_tuner(
    plan: Plan, storage: Storage, dataset: Dataset, share: resources.Resources, tracker: Tracker, search: StudySearch
) -> tuple[Tuner, StudySearch]:
    """A new tuner, or the restored one of a sweep that was killed."""
    options = plan.options
    shared = TrialPlan(
        base=plan.space.base,
        dataset=ray.put(dataset),
        folder=storage.trials,
        workers=share.workers,
        cpus_per_worker=share.cpus_per_worker,
        gpus_per_worker=share.gpus_per_worker,
    )
    trainable = tune.with_resources(tune.with_parameters(run_trial, plan=shared), DRIVER_RESOURCES)
    state = below(storage.shared, "tune")
    if Tuner.can_restore(state):
        return Tuner.restore(state, trainable=trainable, resume_unfinished=True, restart_errored=False), search
    search.reconcile(())
    tuner = Tuner(
        trainable,
        tune_config=tune.TuneConfig(
            search_alg=search,
            scheduler=build_scheduler(options.scheduler, f"best_{options.metric}", plan.epochs),
            num_samples=plan.trials,
            max_concurrent_trials=share.concurrent,
        ),
        run_config=tune.RunConfig(
            name="tune",
            storage_path=storage.shared,
            failure_config=tune.FailureConfig(max_failures=RETRIES),
            callbacks=[TrackingCallback(tracker, options.metric), ProgressCallback(options.metric, plan.trials)],
            verbose=0,
        ),
    )
    return tuner, search


def run_until_done_or_interrupted(tuner: Tuner) -> bool:
    """Run; returns whether Ctrl-C ended it. Tune's own messages are for those who write trainables."""
    logging.getLogger("ray.tune").setLevel(logging.ERROR)
    try:
        tuner.fit()
    except KeyboardInterrupt:
        return True
    return False


def open_tracker(plan: Plan, storage: Storage, dataset: Dataset) -> Tracker:
    """MLflow's parent run of the sweep, in the experiment named after the dataset."""
    options = plan.options
    tags = {"dataset": dataset.config.name, "fingerprint": dataset.fingerprint, "model": options.model, **provenance()}
    tracker = Tracker.open(options.tracking_uri, dataset.config.name, storage.name, tags, resume=options.resume)
    tracker.log_params(
        {
            "trials": plan.trials,
            "sampler": options.sampler,
            "scheduler": options.scheduler,
            "metric": options.metric,
            "seed": options.seed,
        }
    )
    return tracker


def track_end(tracker: Tracker, storage: Storage, best: Best | None, interrupted: bool) -> None:
    """The exported model's files and metrics on the parent run."""
    tags: dict[str, object] = {}
    if best is not None:
        for path in sorted(storage.best.iterdir()):
            tracker.log_file(path, "best")
        tags = {"best_trial": best.trial_id, "best_params": write_yaml(dict(best.trial.params))}
        tracker.log_metrics(
            {f"{part}_{k}": v for part in ("validation", "test") for k, v in best.metrics[part].items()}
        )
    tracker.finish("interrupted" if interrupted else "finished", tags)
