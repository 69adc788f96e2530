"""The sweep on the terminal: a line when a trial ends, and now and then one for those that run."""

from __future__ import annotations

import time
from typing import Any

from optuna.trial import TrialState
from ray.tune import Callback
from ray.tune.experiment import Trial

from tuning.export import ranked, score
from tuning.faults import FAULT, Fault
from tuning.search import LOST, RAY_ID, StudySearch
from tuning.tracking.callback import run_name

EVERY_SECONDS = 10.0


class ProgressCallback(Callback):
    """Prints to standard output. What has ended, and how, it takes from the study, which survives a restart."""

    def __init__(self, search: StudySearch, trials: int) -> None:
        self.search, self.planned = search, trials

    def setup(self, **info: Any) -> None:
        """Here, not where it is made: Tune pickles it, and clocks and counts are those of the running process."""
        self.began = self.printed = time.monotonic()
        self.ended_before = self._ended_count()

    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **info: Any
    ) -> None:
        if time.monotonic() - self.printed >= EVERY_SECONDS:
            latest = {t.trial_id: t.last_result or {} for t in trials} | {trial.trial_id: result}
            running = [t for t in trials if t.status == Trial.RUNNING and "epoch" in latest[t.trial_id]]
            cells = (f"{_name(t)} {self._epoch(latest[t.trial_id])}" for t in running)
            self._print(f"running: {'  '.join(cells)}")

    def on_trial_complete(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        result = trial.last_result or {}
        if (fault := Fault.of(result)) is None:
            self._ended(trial, "finished" if result.get("finished") else "stopped")
        else:
            self._ended(trial, fault.kind)
            self._print(f"    {fault.reason}")

    def _ended(self, trial: Trial, how: str) -> None:
        done = self._ended_count()
        best = next(iter(ranked(self.search.study)), None)
        leader = f"  best {score(best):.4f} ({best.user_attrs[RAY_ID]})" if best else ""
        seconds = (time.monotonic() - self.began) / max(1, done - self.ended_before) * (self.planned - done)
        self._print(
            f"{done}/{self.planned} {_name(trial)} {how} at {self._epoch(trial.last_result or {})}{leader}"
            f"  about {_clock(seconds)} left"
        )

    def _ended_count(self) -> int:
        over = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)
        return sum(LOST not in trial.user_attrs for trial in self.search.study.get_trials(False, states=over))

    def _epoch(self, result: dict[str, Any]) -> str:
        value = None if FAULT in result else result.get(f"best_{self.search.metric}")
        return f"epoch {result.get('epoch', 0)} {f'{value:.4f}' if value is not None else '-'}"

    def _print(self, text: str) -> None:
        self.printed = time.monotonic()
        print(f"[{_clock(self.printed - self.began)}] {text}", flush=True)


def _name(trial: Trial) -> str:
    return f"{trial.trial_id} ({run_name(trial.config, trial.trial_id)})"


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60:02d}:{int(seconds) % 60:02d}"
