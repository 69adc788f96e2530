"""Tune's events on the terminal: a line when a trial ends, and the trials that run."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from ray.tune import Callback
from ray.tune.experiment import Trial

from fame.training.stages import BACKBONE
from tuning.faults import FAULT, Fault
from tuning.pages.tables import clock
from tuning.search.study_search import StudySearch
from tuning.study.overview import overview, trials_of
from tuning.study.trials import Varied
from tuning.terminal.view import VERBOSE, Row, ViewState, view
from tuning.trial.restart import fault_noted, point_of

MostEpochs = Callable[[Mapping[str, Any]], tuple[int, int]]
"""Returns the most epochs of the backbone and of the model itself, of a trial at a point."""
PACE_TRIALS = 2
"""Trials after whose end the number of trials that fit into the time budget is estimated."""
EVERY_SECONDS = 10.0
"""Seconds between two lines about running trials, where there is no table."""


class ProgressCallback(Callback):
    """Shows events on the view. Counts and the best value come from the study, which survives a restart."""

    def __init__(self, search: StudySearch, trials: int | None, most: MostEpochs, budget: float | None = None) -> None:
        self.search, self.planned, self.most, self.budget = search, trials, most, budget

    def setup(self, *args: Any, **info: Any) -> None:
        """Begin here, not in `__init__`: Tune pickles callbacks, and clocks belong to the running process."""
        ended, now = overview(self.search.study).ended, time.monotonic()
        view().state = ViewState(
            metric=self.search.metric,
            planned=self.planned,
            ended=ended,
            ended_before=ended,
            best=self._leader(),
            began=now,
            deadline=None if self.budget is None else now + self.budget - self.search.record.spent,
        )
        self.said, self.paced = now, False
        self.before: dict[str, int] = {}
        """Epochs of the backbone of trials that are past it."""
        self.open: dict[str, tuple[Trial, tuple[int, int]]] = {}
        """Trials that were started and have not ended, with their most epochs. Tune's own list has all trials."""
        self.varied = Varied.among(trials_of(self.search.study))

    def on_trial_start(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        self.open[trial.trial_id] = trial, self.most(point_of(trial.config))
        self.varied.learn(point_of(trial.config))
        self._show_running({})

    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **info: Any
    ) -> None:
        self._show_running({trial.trial_id: result})
        if view().mode == VERBOSE:
            view().line(f"{self._name(trial)} {self._at(trial, result)}")
        elif view().live is None and time.monotonic() - self.said >= EVERY_SECONDS:
            self.said = time.monotonic()
            cells = (
                f"{_named(row.trial, row.setting)} {_at(row.reached, row.best)}"
                for row in view().state.rows
                if row.share
            )
            view().line(f"running: {'  '.join(cells)}")

    def on_trial_complete(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        result = trial.last_result or {}
        if (fault := Fault.of(result)) is None:
            self._ended(trial, "finished" if result.get("finished") else "stopped")
        else:
            self._failed(trial, fault)

    def on_trial_error(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """A trial's process ended without a report of the reason."""
        fault = fault_noted(trial.config) or Fault(kind="failed", reason="no reason is known")
        self._failed(trial, fault)

    def _failed(self, trial: Trial, fault: Fault) -> None:
        self._ended(trial, fault.kind)
        view().line(f"    {fault.reason}")

    def _ended(self, trial: Trial, how: str) -> None:
        state = view().state
        state.ended, state.best = overview(self.search.study).ended, self._leader()
        self.open.pop(trial.trial_id, None)
        self._show_running({})
        self.said = time.monotonic()
        left = state.left()
        view().line(
            f"{state.count()} {self._name(trial)} {how} at {self._at(trial, trial.last_result or {})}"
            f"{f'  {state.best}' if state.best else ''}{f'  about {clock(left)} left' if left is not None else ''}"
        )
        found = self.search.record.find(trial.trial_id)
        if found is not None and found.broken and found.fault is None:
            view().line(f"    {found.over_limit}")
        if not self.paced and state.ended - state.ended_before >= PACE_TRIALS and (fits := state.fits()) is not None:
            self.paced = True
            of = "" if self.planned is None else f" of {self.planned}"
            view().line(f"time budget: at the pace of the first trials about {fits}{of} trials fit")

    def _show_running(self, newest: dict[str, dict[str, Any]]) -> None:
        running = [(t, most) for t, most in self.open.values() if t.status == Trial.RUNNING]
        latest = {t.trial_id: t.last_result or {} for t, _ in running} | newest
        view().state.rows = [
            Row(
                trial=t.trial_id,
                setting=self.varied.setting(point_of(t.config)),
                reached=self._reached(t, latest[t.trial_id], most),
                share=latest[t.trial_id].get("epoch", 0) / sum(most),
                best=self._best(latest[t.trial_id]),
            )
            for t, most in running
        ]

    def _name(self, trial: Trial) -> str:
        return _named(trial.trial_id, self.varied.setting(point_of(trial.config)))

    def _leader(self) -> str:
        best = overview(self.search.study).leader
        return "" if best is None else f"best {best.value:.4f} ({best.id})"

    def _best(self, result: dict[str, Any]) -> float | None:
        return None if FAULT in result else result.get(f"best_{self.search.metric}")

    def _at(self, trial: Trial, result: dict[str, Any]) -> str:
        return _at(self._reached(trial, result, self.most(point_of(trial.config))), self._best(result))

    def _reached(self, trial: Trial, result: dict[str, Any], most: tuple[int, int]) -> str:
        (backbone, own), epoch = most, result.get("epoch", 0)
        if backbone and (not epoch or result.get("stage") == BACKBONE):
            return f"backbone {epoch}/{backbone}"
        if epoch and trial.trial_id not in self.before:
            found = self.search.record.find(trial.trial_id)
            self.before[trial.trial_id] = 0 if found is None else found.epochs_before
        return f"{epoch - self.before.get(trial.trial_id, 0)}/{own}"


def _at(reached: str, best: float | None) -> str:
    return f"{'' if reached.startswith(BACKBONE) else 'epoch '}{reached} {f'{best:.4f}' if best is not None else '-'}"


def _named(trial: str, setting: str) -> str:
    return f"{trial} ({setting})" if setting else trial
