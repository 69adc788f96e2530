"""Ends the processes of trials that hang. It is part of `FaultCallback`, in the driver."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from ray.tune.experiment import Trial

from tuning.trial import pulse


@dataclass
class Heard:
    """The last signs of life of a trial."""

    signs: list[bytes] = field(default_factory=list)
    since: float = field(default_factory=time.monotonic)


class HangWatch:
    """Looks at the running trials now and then. `hang_after` is in seconds; 0 never ends a trial."""

    def __init__(self, workers: int, hang_after: float) -> None:
        self.workers, self.hang_after = workers, hang_after
        self.heard: dict[str, Heard] = {}
        self.ended: set[str] = set()
        """Trials whose processes were ended, and whose end Tune has not noticed yet."""
        self.looked = time.monotonic()

    def hear(self, trial_id: str) -> None:
        """A trial was started, or has reported."""
        self.heard.setdefault(trial_id, Heard()).since = time.monotonic()

    def forget(self, trial_id: str) -> None:
        """A trial's processes are gone."""
        if self.hang_after:
            pulse.forget(trial_id, self.workers)
            self.heard.pop(trial_id, None)

    def look(self, trials: Sequence[Trial]) -> None:
        now = time.monotonic()
        if not self.hang_after or now - self.looked < self.hang_after / pulse.SHARE:
            return
        self.looked = now
        for trial in trials:
            if trial.status == Trial.RUNNING and trial.trial_id not in self.ended:
                self._look(trial.trial_id, now)

    def _look(self, trial_id: str, now: float) -> None:
        heard, signs = self.heard.setdefault(trial_id, Heard()), pulse.signs(trial_id, self.workers)
        if not signs or signs != heard.signs:
            heard.signs, heard.since = signs, now
        elif now - heard.since >= self.hang_after:
            self.ended.add(trial_id)
            for sign in signs:
                pulse.end_process(sign)
