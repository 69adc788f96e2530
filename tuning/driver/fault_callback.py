"""Decides in the driver what follows from a trial's fault.

Tune restarts every trial that raised (`FailureConfig(max_failures=-1)`). Before that, the callback decides: the trial
continues from its checkpoint, or its last act is to report why it ended. The counts are in the trial's note, which Tune
keeps with the sweep's state.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from ray import cloudpickle
from ray.tune import Callback
from ray.tune.experiment import Trial

from fame.remote import is_remote
from tuning.driver.hang import HangWatch
from tuning.faults import ENDS, MENDED, Fault
from tuning.faults.disk import release
from tuning.faults.halt import halt
from tuning.faults.judge import judge, judge_text
from tuning.search.study_search import StudySearch
from tuning.storage.layout import Storage, below
from tuning.study.mirror import keep_in_step
from tuning.trial.restart import leave_note, restart_of

RETRIES = 2
"""Restarts of a trial whose process died. A new epoch in between resets the count."""
HANGS = 1
"""Restarts of a trial that hung."""
ALIKE = 2
"""Trials with the same failure that stop a sweep in which no epoch was reported."""


class FaultCallback(Callback):
    """Give it to Tune before callbacks that print or record."""

    def __init__(self, search: StudySearch, storage: Storage, workers: int, hang_after: float) -> None:
        self.search, self.storage, self.workers, self.hang_after = search, storage, workers, hang_after

    def setup(self, *args: Any, **info: Any) -> None:
        """Begin here, not in `__init__`: Tune pickles callbacks, and clocks belong to the running process."""
        self.watch = HangWatch(self.workers, self.hang_after)

    def on_step_end(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        self.watch.look(trials)

    def on_trial_start(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        self.watch.hear(trial.trial_id)

    def on_trial_recover(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """A trial raised, and Tune is about to restart it."""
        fault = self._fault(trial)
        if trial.trial_id in self.watch.ended:
            self.watch.ended.remove(trial.trial_id)
            self._hung(trial)
        elif fault.kind == "storage" and is_remote(self.storage.shared):
            keep_in_step(self.storage)  # until it answers again: then the trial goes on
        elif fault.kind == "storage":
            release(self.storage.local)  # for Tune's state
            halt(f"cannot write {fault.reason}")
        elif fault.kind in ENDS:
            self._end(trial, fault)
        else:
            self._died(trial, fault)
        self.watch.forget(trial.trial_id)

    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **info: Any
    ) -> None:
        self.watch.hear(trial.trial_id)
        if MENDED in result:
            print(f"trial {trial.trial_id}: {result[MENDED]}", flush=True)

    def on_trial_complete(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """Stop the sweep if trials fail alike: sixty more would meet the same defect."""
        self.watch.forget(trial.trial_id)
        fault = Fault.of(trial.last_result)
        if fault is None or fault.kind != "failed":
            return
        known = self.search.record.trials()
        alike = [other for other in known if other.fault == fault]
        if len(alike) >= ALIKE and not any(other.curve for other in known):
            halt(f"{len(alike)} trials failed alike before any had an epoch: {fault.reason}")

    def _died(self, trial: Trial, fault: Fault) -> None:
        """Restart a trial whose process died.

        A trial with a new epoch between two deaths runs on machines that come and go. Another one has a defect.
        """
        note, reached = restart_of(trial.config), (trial.last_result or {}).get("epoch", 0)
        lost = note.lost if reached <= note.lost_at else 0
        if lost < RETRIES:
            leave_note(trial, dataclasses.replace(note, lost=lost + 1, lost_at=reached))
        else:
            self._end(trial, Fault(kind="lost", reason=f"died {RETRIES + 1} times in a row: {fault.reason}"))

    def _hung(self, trial: Trial) -> None:
        note, silent = restart_of(trial.config), f"no sign of life for {self.hang_after:g} s"
        if note.hung < HANGS:
            leave_note(trial, dataclasses.replace(note, hung=note.hung + 1))
            print(f"trial {trial.trial_id}: {silent}; it is started again from its checkpoint", flush=True)
        else:
            self._end(trial, Fault(kind="hung", reason=f"{silent}, again after it was started again"))

    def _fault(self, trial: Trial) -> Fault:
        """Return why a trial raised."""
        file = Path(trial.pickled_error_file or "none")
        if file.exists():
            error = cloudpickle.loads(file.read_bytes())
            file.unlink()  # Tune writes it for some exceptions only: the next one must not be taken for this one
            return judge(error, below(self.storage.trials, trial.trial_id))
        return judge_text(Path(trial.error_file).read_text(encoding="utf-8"))

    def _end(self, trial: Trial, fault: Fault) -> None:
        """Let a trial only report why it ended. If it cannot, Tune gives it up."""
        with self.search.writing():
            self.search.record.note_fault(trial.trial_id, fault)
        trial.max_failures = 0
        epoch = (trial.last_result or {}).get("epoch", 0)
        leave_note(trial, dataclasses.replace(restart_of(trial.config), seen=epoch, fault=str(fault)))
