"""The sweep's trials under Tune."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from ray import tune
from ray.tune import Tuner
from ray.tune.logger import JsonLoggerCallback
from ray.tune.stopper import CombinedStopper

from fame.config import Experiment
from fame.datasets import Dataset
from fame.training.fit import can_go_on
from tuning.driver.budget import TimeBudget, TrialTime, used_up
from tuning.driver.fault_callback import FaultCallback
from tuning.driver.interrupt import stops_softly
from tuning.driver.restoring import CatchUp, NotRestoredError, RestoreCheck, SchedulerMemory, StoppedBefore
from tuning.driver.tune_files import StagingCallback
from tuning.driver.tune_settings import quieten_tune
from tuning.faults.halt import note_limit
from tuning.machines.local_ray import environment
from tuning.machines.resources import Resources
from tuning.plan.sweep_plan import Plan
from tuning.ray_internals.chosen_ids import ChosenIds
from tuning.ray_internals.ended_trials import EndedTrials
from tuning.ray_internals.memory_monitor import survive_the_memory_monitor
from tuning.ray_internals.result_table import read_no_results
from tuning.ray_internals.tune_environment import hand_to_trials
from tuning.report.callback import ReportCallback
from tuning.schedulers import SCHEDULERS
from tuning.schedulers.again import better_part, replay
from tuning.schedulers.kinds import best
from tuning.search.study_search import StudySearch
from tuning.storage.layout import TUNE, Storage, below
from tuning.study import mirror
from tuning.study.overview import overview
from tuning.terminal.progress import ProgressCallback
from tuning.terminal.view import view
from tuning.terminal.waiting import WaitingCallback
from tuning.tracking.callback import TrackingCallback
from tuning.tracking.projection import Projection
from tuning.tracking.vocabulary import settings
from tuning.tracking.wanted import TRIAL
from tuning.trial import shared_dataset
from tuning.trial.checkpoints import read_trial
from tuning.trial.plan import TrialPlan, trial_experiment
from tuning.trial.slot import trainable


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
        # A copy: this thread adds trials while MLflow's reads them.
        projection.follow(lambda: dict(overview(search.study).trials), storage.trials, kind, self._settings)
        self.states = below(storage.shared, TUNE)
        self.scheduler = SCHEDULERS[plan.options.scheduler]
        shared = TrialPlan(
            base=plan.space.base,
            dataset=shared_dataset.share(dataset, this_machine=plan.options.address is None),
            folder=storage.trials,
            metric=plan.metric,
            watched=plan.shown_numbers,
            limits=plan.options.bounds,
            hang_after=plan.options.hang_after,
            workers=share.workers,
            cpus_per_worker=share.cpus_per_worker,
            gpus_per_worker=share.gpus_per_worker,
            # A population's trials change their settings on the way: what their stages leave is their own.
            stages=None if self.scheduler.changes else storage.stages,
            interval=self.scheduler.interval(plan.epochs),
        )
        self.trainable = trainable(shared, share.concurrent if self.scheduler.pauses else None)

    def _settings(self, point: Mapping[str, Any]) -> dict[str, Any]:
        """Return all settings of the trial at a point, for its run in MLflow."""
        return settings(self._experiment(point), point)

    def _experiment(self, point: Mapping[str, Any]) -> Experiment:
        return trial_experiment(self.plan.space.base, point)

    def run(self, resumed: bool) -> bool:
        """Run those that are left; returns whether it ended early, by a signal or for a reason (`faults.halt`)."""
        budget = self.plan.options.budget_seconds
        if budget is not None and self.search.record.spent >= budget:
            note_limit(used_up(str(self.plan.options.time_budget)))
            return False
        quieten_tune()
        hand_to_trials(this_machine=self.plan.options.address is None)
        survive_the_memory_monitor()
        read_no_results()
        save = os.environ.get("TUNE_GLOBAL_CHECKPOINT_S", f"{save_seconds(self.plan.trials):g}")
        variables = {"TUNE_GLOBAL_CHECKPOINT_S": save}
        if not self.scheduler.pauses:  # as many as the search gives: it counts them, and what is asked for is scaled to
            variables["TUNE_MAX_PENDING_TRIALS_PG"] = str(self.plan.trials)
        with environment(variables), stops_softly() as interrupted:
            if resumed and (not self.plan.extended or Tuner.can_restore(self.state)):
                try:
                    with mirror.unless_away(self.storage):  # Tune reads there once more when it has ended
                        self._restored().fit()
                    return interrupted()
                except NotRestoredError:
                    print(
                        "Tune's state is missing, damaged or of another version: ended trials are kept, unfinished trials restart"
                    )
            if self.plan.extended:
                self._go_on()
            else:
                with self.search.writing():
                    self.search.record.give_up(())
            with mirror.unless_away(self.storage):
                self._tuner().fit()
            return interrupted()

    @property
    def state(self) -> str:
        """The folder of Tune's state."""
        return below(self.states, self.storage.tune)

    def _go_on(self) -> None:
        """Let trials of the better part go on in an extended sweep, in a new run of Tune.

        A trial that ended by itself goes on only if there are more epochs now, and its learning rate is constant.
        """
        again = []
        for trial in better_part(self.search.record.trials()):
            trained, experiment = read_trial(self.storage.trials, trial.id), self._experiment(trial.point)
            if trained is not None and can_go_on(trained, experiment.train.epochs):
                again.append(trial)
        self.search.go_on(again)
        if self.search.waiting:
            view().line(f"{len(self.search.waiting)} trials go on: {', '.join(self.search.waiting)}")

    def _tuner(self, *extra: tune.Callback) -> Tuner:
        options = self.plan.options
        scheduler = self.scheduler.build(self.plan.schedule)
        if self.scheduler.replays:
            replay(scheduler, self.search.record.trials(), best(self.plan.schedule))
        return Tuner(
            self.trainable,
            tune_config=tune.TuneConfig(
                search_alg=ChosenIds(self.search),
                scheduler=scheduler,
                num_samples=self.plan.trials,
                reuse_actors=True,
            ),
            run_config=tune.RunConfig(
                name=self.storage.tune,
                storage_path=self.states,
                failure_config=tune.FailureConfig(max_failures=-1),  # `FaultCallback` decides what that is good for
                stop=self._stoppers(),
                callbacks=[
                    FaultCallback(self.search, self.storage, self.share.workers, options.hang_after),
                    TrackingCallback(self.projection),
                    ProgressCallback(self.search, self.plan.planned, self.plan.space.epochs, options.budget_seconds),
                    *self._time_budget(),
                    WaitingCallback(self.share),
                    *self._report(),
                    SchedulerMemory(scheduler),
                    EndedTrials(),
                    mirror.Mirror(self.storage),
                    StagingCallback(),
                    JsonLoggerCallback(),  # what Tune got from a trial, word for word
                    *extra,
                ],
                verbose=0,
            ),
        )

    def _stoppers(self) -> tune.Stopper:
        seconds, before = self.plan.options.trial_seconds, StoppedBefore(self.search)
        return before if seconds is None else CombinedStopper(before, TrialTime(seconds))

    def _time_budget(self) -> list[tune.Callback]:
        seconds = self.plan.options.budget_seconds
        return [] if seconds is None else [TimeBudget(self.search, seconds, str(self.plan.options.time_budget))]

    def _report(self) -> list[tune.Callback]:
        """The report is about the sweep's trials. The last step has none of its own."""
        if self.statistics is None:
            return []
        return [ReportCallback(self.plan, self.storage, self.search, self.statistics)]

    def _restored(self) -> Tuner:
        # A tuner writes itself to `tuner.pkl`, from where `restore` takes it: so the file is whole, and what is
        # in it (addresses, callbacks, how many trials at a time) is of this process and this machine.
        self._tuner(RestoreCheck(), CatchUp(self.search, self.storage.trials))
        return Tuner.restore(self.state, trainable=self.trainable, resume_unfinished=True, restart_errored=False)


def save_seconds(trials: int) -> float:
    """Time between two saves of Tune's state; what it has not saved is lost to a kill.

    Tune would take 10 s or more. It writes all trials each time, so a sweep of many saves less often: 1,000 every 10 s.
    """
    return max(1.0, trials / 100)
