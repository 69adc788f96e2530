"""The sweep's trials under Tune."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import ray
from ray import tune
from ray.tune import Tuner
from ray.tune.logger import JsonLoggerCallback

from fame.datasets import Dataset
from tuning.driver.fault_callback import FaultCallback
from tuning.driver.interrupt import stops_softly
from tuning.driver.restoring import CatchUp, NotRestoredError, RestoreCheck, SchedulerMemory, StoppedBefore
from tuning.driver.tune_files import StagingCallback
from tuning.driver.tune_settings import quieten_tune
from tuning.machines.local_ray import environment
from tuning.machines.resources import Resources
from tuning.plan.sweep_plan import Plan
from tuning.ray_internals.memory_monitor import survive_the_memory_monitor
from tuning.ray_internals.tune_environment import withhold_credentials
from tuning.report.callback import ReportCallback
from tuning.schedulers import SCHEDULERS
from tuning.search.study_search import StudySearch
from tuning.storage.layout import TUNE, Storage, below
from tuning.study import mirror
from tuning.study.reading import Reader
from tuning.terminal.progress import ProgressCallback
from tuning.terminal.waiting import WaitingCallback
from tuning.tracking.callback import TrackingCallback
from tuning.tracking.projection import Projection
from tuning.tracking.vocabulary import settings
from tuning.tracking.wanted import TRIAL
from tuning.trial import TRAINERS
from tuning.trial.plan import TrialPlan, trial_experiment


class Trials:
    """The sweep's trials under Tune."""

    def __init__(
        self,
        plan: Plan,
        storage: Storage,
        dataset: Dataset,
        share: Resources,
        projection: Projection,
        search: StudySearch,
        kind: str = TRIAL,
    ) -> None:
        self.plan, self.storage, self.share = plan, storage, share
        self.projection, self.search = projection, search
        self.statistics = dataset.statistics if kind == TRIAL else None
        projection.follow(Reader(storage.study, storage.name).trials, storage.trials, kind, self._settings)
        self.states = below(storage.shared, TUNE)
        self.scheduler, self.trainer = SCHEDULERS[plan.options.scheduler], TRAINERS[plan.options.trainer]
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
            stages=None if self.scheduler.changes else storage.stages,
            interval=self.scheduler.interval(plan.epochs),
        )
        at_a_time = share.concurrent or max(1, share.fits(share.nodes))
        self.trainable = self.trainer.trainable(shared, at_a_time if self.scheduler.pauses else None)

    def _settings(self, point: Mapping[str, Any]) -> dict[str, Any]:
        """Return all settings of the trial at a point, for its run in MLflow."""
        return settings(trial_experiment(self.plan.space.base, point), point)

    def run(self, resumed: bool) -> bool:
        """Run those that are left; returns whether it ended early, by a signal or for a reason (`faults.halt`)."""
        quieten_tune()
        withhold_credentials()
        survive_the_memory_monitor()
        save = os.environ.get("TUNE_GLOBAL_CHECKPOINT_S", f"{save_seconds(self.plan.trials):g}")
        variables = {"TUNE_GLOBAL_CHECKPOINT_S": save}
        if not self.scheduler.pauses:  # as many as the search gives: it counts them, and what is asked for is scaled to
            variables["TUNE_MAX_PENDING_TRIALS_PG"] = str(self.plan.trials)
        with environment(variables), stops_softly() as interrupted:
            if resumed:
                try:
                    with mirror.unless_away(self.storage):  # Tune reads there once more when it has ended
                        self._restored().fit()
                    return interrupted()
                except NotRestoredError:
                    print(
                        "Tune's state is missing, damaged or of another version: ended trials are kept, unfinished trials restart"
                    )
            self.search.give_up(())
            with mirror.unless_away(self.storage):
                self._tuner().fit()
            return interrupted()

    def _tuner(self, *extra: tune.Callback) -> Tuner:
        options = self.plan.options
        scheduler = self.scheduler.build(self.plan.schedule)
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
                    TrackingCallback(self.projection),
                    ProgressCallback(self.search, self.plan.trials, self.plan.epochs),
                    WaitingCallback(self.share),
                    *self._report(),
                    SchedulerMemory(scheduler),
                    mirror.Mirror(self.storage),
                    StagingCallback(),
                    JsonLoggerCallback(),  # what Tune got from a trial, word for word
                    *extra,
                ],
                verbose=0,
            ),
        )

    def _report(self) -> list[tune.Callback]:
        """The report is about the sweep's trials. The last step has none of its own."""
        if self.statistics is None:
            return []
        return [ReportCallback(self.plan, self.storage, self.search, self.statistics)]

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
