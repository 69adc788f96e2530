"""The sweep on the terminal: a line when a trial ends, and now and then one for those that run."""

from __future__ import annotations

import time
from typing import Any

from ray.tune import Callback
from ray.tune.experiment import Trial

from tuning.tracking_callback import outcome, run_name

EVERY_SECONDS = 10.0


class ProgressCallback(Callback):
    """Prints to standard output; holds nothing that has to survive a restart."""

    def __init__(self, metric: str, trials: int) -> None:
        self.metric, self.planned = metric, trials
        self.began = self.printed = time.monotonic()

    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **info: Any
    ) -> None:
        if time.monotonic() - self.printed >= EVERY_SECONDS:
            running = [t for t in trials if t.status == Trial.RUNNING and t.last_result]
            cells = "  ".join(f"{_name(t)} epoch {_epoch(t)} {self._value(t)}" for t in running)
            self._print(f"running: {cells}")

    def on_trial_complete(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        finished = (trial.last_result or {}).get("finished")
        self._ended(trials, trial, "finished" if finished else "stopped")

    def on_trial_error(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        self._ended(trials, trial, "failed")

    def _ended(self, trials: list[Trial], trial: Trial, how: str) -> None:
        done = sum(t.status in (Trial.TERMINATED, Trial.ERROR) for t in trials if t is not trial) + 1
        best = max((t for t in trials if t.last_result), key=self._best, default=None)
        left = (time.monotonic() - self.began) / done * (self.planned - done)
        leader = f"  best {self._value(best)} ({_name(best)})" if best else ""
        self._print(
            f"{done}/{self.planned} {_name(trial)} {how} at epoch {_epoch(trial)} {self._value(trial)}{leader}"
            f"  about {_clock(left)} left"
        )

    def _best(self, trial: Trial) -> float:
        value = trial.last_result.get(f"best_{self.metric}", float("-inf"))
        return value if outcome(trial) != "failed" else float("-inf")

    def _value(self, trial: Trial) -> str:
        value = (trial.last_result or {}).get(f"best_{self.metric}")
        return f"{value:.4f}" if value is not None else "-"

    def _print(self, text: str) -> None:
        self.printed = time.monotonic()
        print(f"[{_clock(self.printed - self.began)}] {text}", flush=True)


def _name(trial: Trial) -> str:
    return f"{trial.trial_id} ({run_name(trial.config, trial.trial_id)})"


def _epoch(trial: Trial) -> int:
    return (trial.last_result or {}).get("epoch", 0)


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60:02d}:{int(seconds) % 60:02d}"
