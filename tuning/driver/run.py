"""Running a planned sweep on Ray, from its start or after it was interrupted or killed."""

from __future__ import annotations

import contextlib
import importlib
import threading
import time
from collections.abc import Iterator, Sequence

from fame.artifacts.lease import Lease
from fame.datasets import Dataset
from tuning.dashboards import dashboards
from tuning.driver import tune_files
from tuning.driver.again import Again
from tuning.driver.sweep_run import end_run, open_projection
from tuning.driver.trials import Trials
from tuning.faults import disk, halt
from tuning.machines import resources
from tuning.machines.local_ray import session_folder
from tuning.machines.resources import Resources, Room
from tuning.machines.watch import TakenOverError, Watch, watched
from tuning.plan.sweep_plan import Plan
from tuning.ray_internals.node_processes import node_processes
from tuning.registry import register_best
from tuning.report.callback import try_report
from tuning.report.lean import import_plots
from tuning.results.best import export_best
from tuning.results.final import KIND, Final, export_final
from tuning.results.next_steps import resume_command
from tuning.results.sanity import sanity_lines
from tuning.schedulers import SCHEDULERS
from tuning.search.study_search import StudySearch
from tuning.storage.layout import Storage
from tuning.study import mirror
from tuning.study.file import open_journal
from tuning.study.sanity import sanity_of
from tuning.study.trials import total_uses
from tuning.terminal import summary, view
from tuning.tracking.addresses import check_tracking_uri
from tuning.tracking.projection import Projection
from tuning.trial.restart import going_on


def run_sweep(plan: Plan, storage: Storage, dataset: Dataset, leases: Sequence[Lease], own_process: bool) -> int:
    """Run the rest of the sweep, export the best, print the table, and return the exit code.

    `leases` are those of the sweep's lock. `own_process` says whether this process may replace itself, and runs
    nothing else. Raises `CannotGoOnError` if one is lost, or if Ray's head is.
    """
    halt.begin()
    if own_process:
        import_plots()
    options, resumed = plan.options, storage.exists
    if options.address is None:  # a mistake in them need not wait until Ray has started
        resources.plan(options, resources.found())
    if storage.study.exists():
        open_journal(storage.study, print)  # mends it; whoever reads it needs it whole
    anew = Again(storage, leases) if own_process and options.address is None else None
    mlflow_import = import_aside("mlflow.tracking")
    with (
        contextlib.ExitStack() as when_ray_has_ended,
        resources.cluster(options.address, session_folder(storage), options.verbose),
        watched(storage.name, leases, resume_command(plan, storage), anew, node_processes()) as watch,
    ):
        share = resources.plan(options, resources.found())
        mlflow_import.join()
        projection = open_projection(plan, storage, dataset)
        with ends_interrupted(projection, watch):
            if resumed:
                mirror.fetch(storage)
            storage.create(plan.to_record(dataset.fingerprint))
            if not options.quiet:
                summary.print_plan(plan, dataset, share, storage)
            with disk.reserved(storage.local):
                search = open_study(plan, storage, share)
                when_ray_has_ended.callback(lambda: resources.tidy(search.record.ids(), storage.stages))
                try:
                    note_sanity(search, plan, dataset)
                    if projection.place is not None:
                        with search.writing():
                            search.record.note_tracked(projection.place.to_dict())
                    with pages(plan, storage, projection), view.shown(view.mode(options.quiet, options.verbose)):
                        interrupted = Trials(plan, storage, dataset, share, projection, search).run(resumed)
                        final = None if interrupted else Final.of(plan, storage, search.record.trials())
                        if final is not None:
                            again, interrupted = run_final(final, dataset, share, projection, when_ray_has_ended)
                finally:
                    tune_files.remove()
    # Ray has ended, so nothing writes checkpoints any more.
    trials = search.record.trials()
    with ends_interrupted(projection, watch), mirror.unless_away(storage):
        best = None
        mirror.push(storage)
        if final is not None:
            mirror.push(final.storage)
            if not interrupted:
                best = export_final(final, again.record.trials(), storage, dataset)
        best = best or export_best(trials, storage, dataset, options.refit == "all" and not interrupted)
    try_report(plan, storage, search.study, dataset.statistics, picture=True)
    sanity = sanity_of(search.study)
    end_run(projection, plan, storage, best, interrupted, total_uses(trials), sanity, plan.front(trials))
    registered = None
    if best is not None and not interrupted and options.register:
        registered = register_best(options.tracking_uri, plan.mlflow_experiment, storage.name, storage.best)
    summary.print_results(plan, storage, trials, best, projection, registered, sanity)
    return summary.conclude(plan, storage, trials, interrupted)


def note_sanity(search: StudySearch, plan: Plan, dataset: Dataset) -> None:
    """Compute the sanity lines before the first trial, once in a sweep, and print them."""
    if sanity_of(search.study):
        return
    began, metric = time.monotonic(), plan.metric
    lines = sanity_lines(plan.experiment, dataset)
    with search.writing():
        search.record.note_sanity(lines)
    if not plan.options.quiet:
        values = ", ".join(f"{model} {parts['validation'][metric]:.4f}" for model, parts in lines.items())
        print(f"sanity  validation {metric} without training: {values} ({time.monotonic() - began:.1f} s)", flush=True)


def run_final(
    final: Final, dataset: Dataset, share: Resources, projection: Projection, when_ray_has_ended: contextlib.ExitStack
) -> tuple[StudySearch, bool]:
    """Run the rest of the last step. Return its search, and whether it ended early."""
    storage = final.storage
    if final.resumed:
        storage.check_owner()
        mirror.fetch(storage)
    view.view().line(f"final: {final}")
    with disk.reserved(storage.local):
        search = open_study(final.plan, storage, share)
        when_ray_has_ended.callback(lambda: resources.tidy(search.record.ids(), storage.stages))
        return search, Trials(final.plan, storage, dataset, share, projection, search, KIND).run(final.resumed)


@contextlib.contextmanager
def pages(plan: Plan, storage: Storage, projection: Projection) -> Iterator[None]:
    """Serve the dashboards as long as the block lasts, if they were asked for."""
    if not plan.options.dashboard:
        yield
        return
    uri = check_tracking_uri(plan.options.tracking_uri)
    with dashboards(storage, plan.metric, uri, projection.place) as addresses:
        print(f"pages  {addresses}", flush=True)
        yield


def import_aside(module: str) -> threading.Thread:
    """Import a module in a thread. MLflow takes seconds, in which Ray can start.

    Nothing else may import a part of it before the thread has ended: MLflow's modules import each other in circles, and
    two threads that begin at two places of a circle lock each other out.
    """
    thread = threading.Thread(target=importlib.import_module, args=(module,), daemon=True)
    thread.start()
    return thread


@contextlib.contextmanager
def ends_interrupted(projection: Projection, watch: Watch) -> Iterator[None]:
    """Leave no run RUNNING for ever if the block is cut short, also by a second Ctrl-C."""

    def close() -> None:
        projection.finish("interrupted")

    watch.close = close
    try:
        yield
    except TakenOverError:  # the runs go on elsewhere
        raise
    except BaseException:
        watch.closing = True
        close()
        raise


def open_study(plan: Plan, storage: Storage, share: Resources) -> StudySearch:
    """Open the sweep's study, new or as it was left."""
    pauses = SCHEDULERS[plan.options.scheduler].pauses
    return StudySearch(
        plan.space,
        storage.study,
        name=storage.name,
        sampler=plan.options.sampler,
        seed=plan.options.seed,
        metric=plan.metric,
        aims=plan.options.aims,
        limits=plan.options.bounds,
        trials=plan.trials,
        expected=plan.expected,
        stop_after=plan.options.stop_after,
        lessons=plan.lessons,
        going_on=going_on,
        # Paused trials count here, too. A scheduler that pauses limits the number of actors instead.
        room=None if pauses else Room(share),
    )
