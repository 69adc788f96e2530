"""Running a planned sweep on Ray, from its first trial or from where it was interrupted or killed."""

from __future__ import annotations

import contextlib
import importlib
import os
import threading
from collections.abc import Iterator, Sequence

import ray
from ray import tune
from ray.tune import Tuner
from ray.tune.logger import JsonLoggerCallback

from fame.artifacts.lease import Lease
from fame.datasets import Dataset
from tuning.dashboards import dashboards
from tuning.driver import tune_files as staging
from tuning.driver.fault_callback import FaultCallback
from tuning.driver.interrupt import stops_softly
from tuning.driver.restoring import CatchUp, NotRestoredError, RestoreCheck, SchedulerMemory, StoppedBefore
from tuning.driver.sweep_run import open_tracker, track_end
from tuning.driver.tune_files import StagingCallback
from tuning.driver.tune_settings import quieten_tune, withhold_credentials
from tuning.faults import disk
from tuning.machines import resources
from tuning.machines.local_ray import session_folder
from tuning.machines.resources import Resources, Room
from tuning.machines.watch import TakenOverError, Watch, watched
from tuning.plan.sweep_plan import Plan
from tuning.ray_internals.memory_monitor import survive_the_memory_monitor
from tuning.registry import register_best
from tuning.report.callback import ReportCallback, try_report
from tuning.results.best import export_best
from tuning.results.final import KIND, Final, export_final
from tuning.schedulers import SCHEDULERS
from tuning.search.study_search import StudySearch
from tuning.storage.layout import TUNE, Storage, below
from tuning.study import mirror
from tuning.study.trials import State, all_trials, total_uses
from tuning.terminal import summary, view
from tuning.terminal.progress import ProgressCallback
from tuning.terminal.waiting import WaitingCallback
from tuning.tracking import TRIAL, Status, Tracker
from tuning.tracking.agreement import agree
from tuning.tracking.callback import TrackingCallback
from tuning.tracking.store import check_tracking_uri
from tuning.trial import TRAINERS
from tuning.trial.plan import TrialPlan

STATUS: dict[State, Status] = {
    "finished": "finished",
    "stopped": "pruned",
    "failed": "failed",
    "lost": "interrupted",
}


def run_sweep(plan: Plan, storage: Storage, dataset: Dataset, leases: Sequence[Lease]) -> int:
    """Run what is left of the sweep, export the best, print the table; returns the exit code.

    `leases` are those of the sweep's lock. Raises `CannotGoOnError` if one is lost, or Ray's head is.
    """
    options, resumed = plan.options, storage.exists
    if options.address is None:  # what is wrong with them need not wait until Ray has started
        resources.plan(options, resources.found())
    import_aside("mlflow.tracking")
    with (
        contextlib.ExitStack() as when_ray_has_ended,
        resources.cluster(
            options.address, session_folder(storage), TRAINERS[options.trainer].dashboard, options.verbose
        ),
        watched(storage.name, leases, summary.resume_command(plan, storage)) as watch,
    ):
        share = resources.plan(options, resources.found())
        tracker = open_tracker(plan, storage, dataset)
        with ends_interrupted(tracker, watch):
            if resumed:
                mirror.fetch(storage)
            else:
                storage.create(plan.to_record(dataset.fingerprint))
            if not options.quiet:
                summary.print_plan(plan, dataset, share, storage)
            with disk.reserved(storage.local):
                search = open_study(plan, storage, share)
                when_ray_has_ended.callback(lambda: resources.tidy(search.record.ids(), storage.stages))
                try:
                    with pages(plan, storage), view.shown(view.mode(options.quiet, options.verbose)):
                        interrupted = Trials(plan, storage, dataset, share, tracker, search).run(resumed)
                        final = None if interrupted else Final.of(plan, storage, search.record.trials())
                        if final is not None:
                            again, interrupted = run_final(final, dataset, share, tracker, when_ray_has_ended)
                finally:
                    staging.remove()
    # Ray has ended, so nothing writes checkpoints any more.
    ended = outcomes(search) | (outcomes(again) if final is not None else {})
    best = None
    with ends_interrupted(tracker, watch), mirror.unless_away(storage):
        mirror.push(storage)
        agree(tracker, search.study, ended, storage, options.metric)
        if final is not None:
            mirror.push(final.storage)
            agree(tracker, again.study, ended, final.storage, options.metric, KIND)
            if not interrupted:
                best = export_final(final, again.record.trials(), storage, dataset)
        best = best or export_best(search.record.trials(), storage, dataset)
    try_report(plan, storage, search.study, dataset.statistics)
    track_end(tracker, storage, best, interrupted, total_uses(search.record.trials()))
    registered = None
    if best is not None and not interrupted:
        registered = register_best(options.tracking_uri, dataset.config.name, storage.name, storage.best)
    summary.print_results(plan, storage, search.record.trials(), best, tracker, registered)
    return summary.conclude(plan, storage, search.record.trials(), interrupted)


def run_final(
    final: Final, dataset: Dataset, share: Resources, tracker: Tracker, when_ray_has_ended: contextlib.ExitStack
) -> tuple[StudySearch, bool]:
    """Run what is left of the last step; returns its study, and whether it ended early."""
    storage = final.storage
    if final.resumed:
        storage.check_owner()
        mirror.fetch(storage)
    view.view().line(f"final: {final}")
    with disk.reserved(storage.local):
        search = open_study(final.plan, storage, share)
        when_ray_has_ended.callback(lambda: resources.tidy(search.record.ids(), storage.stages))
        return search, Trials(final.plan, storage, dataset, share, tracker, search, KIND).run(final.resumed)


@contextlib.contextmanager
def pages(plan: Plan, storage: Storage) -> Iterator[None]:
    """The dashboards for as long as the block lasts, if they were asked for."""
    if not plan.options.dashboard:
        yield
        return
    uri = check_tracking_uri(plan.options.tracking_uri)
    with dashboards(storage.study, uri, storage.local / "dashboards.log") as addresses:
        print(f"pages  {addresses}", flush=True)
        yield


def import_aside(module: str) -> None:
    """Import a module while other things are done: MLflow takes seconds, in which Ray can start."""
    threading.Thread(target=importlib.import_module, args=(module,), daemon=True).start()


@contextlib.contextmanager
def ends_interrupted(tracker: Tracker, watch: Watch) -> Iterator[None]:
    """Around what may be cut short, also by a second Ctrl-C: no run stays RUNNING for ever."""

    def close() -> None:
        tracker.close_open_trials({})
        tracker.finish("interrupted")

    watch.close = close
    try:
        yield
    except TakenOverError:  # they go on elsewhere
        raise
    except BaseException:
        close()
        raise


def open_study(plan: Plan, storage: Storage, share: Resources) -> StudySearch:
    """The sweep's Optuna study, new or as it was left."""
    pauses = SCHEDULERS[plan.options.scheduler].pauses
    return StudySearch(
        plan.space,
        storage.study,
        name=storage.name,
        sampler=plan.options.sampler,
        seed=plan.options.seed,
        metric=plan.options.metric,
        trials=plan.trials,
        # Paused trials count here, too: where there are any, the number of actors is limited by what they take.
        room=None if pauses else Room(share),
    )


class Trials:
    """The sweep's trials under Tune."""

    def __init__(
        self,
        plan: Plan,
        storage: Storage,
        dataset: Dataset,
        share: Resources,
        tracker: Tracker,
        search: StudySearch,
        tag: str = TRIAL,
    ) -> None:
        self.plan, self.storage, self.share, self.tracker, self.search = plan, storage, share, tracker, search
        self.tag, self.statistics = tag, dataset.statistics
        self.states = below(storage.shared, TUNE)
        self.kind, self.trainer = SCHEDULERS[plan.options.scheduler], TRAINERS[plan.options.trainer]
        shared = TrialPlan(
            base=plan.space.base,
            dataset=ray.put(dataset),
            folder=storage.trials,
            metric=plan.options.metric,
            hang_after=plan.options.hang_after,
            workers=share.workers,
            cpus_per_worker=share.cpus_per_worker,
            gpus_per_worker=share.gpus_per_worker,
            # A population's trials change their settings on the way: what their stages leave is their own.
            stages=None if self.kind.changes else storage.stages,
            interval=self.kind.interval(plan.epochs),
        )
        at_a_time = share.concurrent or max(1, share.fits(share.nodes))
        self.trainable = self.trainer.trainable(shared, at_a_time if self.kind.pauses else None)

    def run(self, resumed: bool) -> bool:
        """Run those that are left; returns whether it ended early, by a signal or for a reason (`faults.halt`)."""
        quieten_tune()
        withhold_credentials()
        survive_the_memory_monitor()
        if not self.kind.pauses:  # as many as the search gives: it counts them, and what is asked for is scaled to
            os.environ["TUNE_MAX_PENDING_TRIALS_PG"] = str(self.plan.trials)
        os.environ.setdefault("TUNE_GLOBAL_CHECKPOINT_S", f"{save_seconds(self.plan.trials):g}")
        with stops_softly() as interrupted:
            if resumed:
                try:
                    with mirror.unless_away(self.storage):  # Tune reads there once more when it has ended
                        self._restored().fit()
                    return interrupted()
                except NotRestoredError:
                    print("Tune's state is missing or damaged: what ended is kept, unfinished trials start again")
            self.search.give_up(())
            with mirror.unless_away(self.storage):
                self._tuner().fit()
            return interrupted()

    def _tuner(self, *extra: tune.Callback) -> Tuner:
        options = self.plan.options
        scheduler = self.kind.build(self.plan.schedule)
        return Tuner(
            self.trainable,
            tune_config=tune.TuneConfig(
                search_alg=self.search,
                scheduler=scheduler,
                num_samples=self.plan.trials,
                reuse_actors=self.trainer.reuses,
            ),
            run_config=tune.RunConfig(
                # By its name, which Tune's working files have, too: sweeps that start in the same second on one
                # Ray would share those.
                name=self.storage.name,
                storage_path=self.states,
                failure_config=tune.FailureConfig(max_failures=-1),  # `FaultCallback` decides what that is good for
                stop=StoppedBefore(self.search),
                callbacks=[
                    FaultCallback(self.search, self.storage, self.share.workers, options.hang_after),
                    TrackingCallback(self.tracker, options.metric, self.tag),
                    ProgressCallback(self.search, self.plan.trials, self.plan.epochs),
                    WaitingCallback(self.share),
                    *(
                        [ReportCallback(self.plan, self.storage, self.search, self.statistics)]
                        if self.tag == TRIAL
                        else []
                    ),
                    SchedulerMemory(scheduler),
                    mirror.Mirror(self.storage),
                    StagingCallback(),
                    JsonLoggerCallback(),  # what Tune got from a trial, word for word
                    *extra,
                ],
                verbose=0,
            ),
        )

    def _restored(self) -> Tuner:
        # A tuner writes itself to `tuner.pkl`, from where `restore` takes it: so the file is whole, and what is
        # in it (addresses, callbacks, how many trials at a time) is of this process and this machine.
        self._tuner(RestoreCheck(), CatchUp(self.search, self.storage.trials))
        state = below(self.states, self.storage.name)
        return Tuner.restore(state, trainable=self.trainable, resume_unfinished=True, restart_errored=False)


def save_seconds(trials: int) -> float:
    """Time between two saves of Tune's state; what it has not saved is lost to a kill.

    Tune would take 10 s or more. It writes all trials each time, so a sweep of many saves less often: 1,000 every 10 s.
    """
    return max(1.0, trials / 100)


def outcomes(search: StudySearch) -> dict[str, Status]:
    """How trials ended, by Tune's id; those that did not are left out."""
    return {trial.id: STATUS[trial.state] for trial in all_trials(search.study) if trial.state in STATUS}
