"""State that a killed sweep needs besides Tune's own, so that it continues as if it had not been killed.

Tune pickles these objects together with the tuner. So they share the search and the scheduler with it.
"""

from __future__ import annotations

from typing import Any

from ray.tune import Callback, Stopper
from ray.tune.experiment import Trial
from ray.tune.schedulers import TrialScheduler

from tuning.search.study_search import StudySearch
from tuning.trial.checkpoints import read_trial
from tuning.trial.restart import point_of
from tuning.trial.scratch import scratch_folder


class NotRestoredError(Exception):
    """Tune found no usable state and was about to start an empty sweep."""


class RestoreCheck(Callback):
    """Ends a restored sweep before its first step if Tune could not read its state.

    Tune only logs that a file was cut off or is missing, and goes on with a new, empty sweep.
    """

    def on_step_begin(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        if not trials:
            raise NotRestoredError


class CatchUp(Callback):
    """Tells the study of a restored sweep what only Tune knows.

    The study is usually ahead of Tune. But its disk may have been full, or its file may have lost lines.
    """

    def __init__(self, search: StudySearch, trials: str) -> None:
        self.search, self.folder, self.over = search, trials, False
        """`folder` has the trials' checkpoints, which have all their epochs."""

    def on_step_begin(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        if self.over:
            return
        found = self.search.record.overview.trials  # once: a look for each trial takes a while
        for trial in trials:
            known = found.get(trial.trial_id)
            if known is not None and not (known.state == "running" and trial.is_finished()):
                continue
            if known is None:
                with self.search.writing():
                    self.search.record.adopt(trial.trial_id, point_of(trial.config))
            if trial.is_finished():
                trained = read_trial(self.folder, trial.trial_id)
                for report in trained.history if trained is not None else ():
                    result = {"epoch": report.epoch, "stage": report.stage, **report.validation}
                    self.search.on_trial_result(trial.trial_id, result)
                self.search.on_trial_complete(trial.trial_id, trial.last_result, trial.status == Trial.ERROR)
        self.over = True


class SchedulerMemory(Callback):
    """Saves the scheduler with Tune's state. Tune leaves it out.

    Without it ASHA would come back with empty rungs and let the first trials pass, whatever value they reach.
    """

    def __init__(self, scheduler: TrialScheduler) -> None:
        self.scheduler = scheduler

    def get_state(self) -> dict[str, bytes] | None:
        if type(self.scheduler).save is TrialScheduler.save:  # it cannot: all of Ray's but ASHA
            return None
        with scratch_folder("scheduler") as folder:
            self.scheduler.save(str(folder / "state"))
            return {"scheduler": (folder / "state").read_bytes()}

    def set_state(self, state: dict[str, bytes]) -> None:
        with scratch_folder("scheduler") as folder:
            (folder / "state").write_bytes(state["scheduler"])
            self.scheduler.restore(str(folder / "state"))


class StoppedBefore(Stopper):
    """Stops a trial that was stopped before Tune was killed and could save that.

    Tune knows the trials that stop while this process runs. So the study is read once, at the first result.
    """

    def __init__(self, search: StudySearch) -> None:
        self.search = search
        self._stopped: dict[str, int] | None = None

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        if self._stopped is None:
            self._stopped = {t.id: t.epoch for t in self.search.record.trials() if t.state == "stopped"}
        return trial_id in self._stopped and result.get("epoch", 0) >= self._stopped[trial_id]

    def __getstate__(self) -> dict[str, Any]:
        """Tune pickles the object with the sweep. The next process reads the study itself."""
        return {"search": self.search, "_stopped": None}

    def stop_all(self) -> bool:
        return False
