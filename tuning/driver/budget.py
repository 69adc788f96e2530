"""Limits on time: for all trials of a sweep together, and for each trial."""

from __future__ import annotations

import time
from typing import Any

from ray.tune import Callback, Stopper
from ray.tune.experiment import Trial

from tuning.faults.halt import finish_early
from tuning.search.study_search import StudySearch
from tuning.trial.loop import TRIAL_SECONDS

NOTE_SECONDS = 15.0
"""Seconds between two notes of the time that was used. A kill loses no more than that."""


class TimeBudget(Callback):
    """Ends the sweep softly when its trials have taken so many seconds, over all of its drivers.

    The study has the time that was used. `said` is the budget as the user wrote it.
    """

    def __init__(self, search: StudySearch, seconds: float, said: str) -> None:
        self.search, self.seconds, self.said = search, seconds, said

    def setup(self, *args: Any, **info: Any) -> None:
        """Begin here, not in `__init__`: Tune pickles callbacks, and clocks belong to the running process."""
        self.began = self.noted = time.monotonic()
        self.before = self.search.record.spent

    def on_step_end(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        now = time.monotonic()
        spent = self.before + now - self.began
        over = spent >= self.seconds
        if over or now - self.noted >= NOTE_SECONDS:
            self.noted = now
            with self.search.writing():
                self.search.record.note_spent(spent)
        if over:
            finish_early(used_up(self.said))


def used_up(budget: str) -> str:
    return f"the time budget of {budget} is used up"


class TrialTime(Stopper):
    """Stops a trial after the epoch with which it has trained for so many seconds."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        return result.get(TRIAL_SECONDS, 0.0) >= self.seconds

    def stop_all(self) -> bool:
        return False
