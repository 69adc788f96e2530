"""The metrics of a sweep's epochs. The study has one of them; the others are here.

Reports that came in this process are noted in memory until MLflow has them. Other reports are read from the trial's
checkpoint, which has no times. Their times are computed from the trial's start or end and the seconds of each epoch.
"""

from __future__ import annotations

import numbers
import threading
import time
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ray.tune.result import AUTO_RESULT_KEYS, DEBUG_METRICS

from tuning.study.trials import SweepTrial
from tuning.trial.checkpoints import read_trial
from tuning.trial.loop import TRIAL_SECONDS, reported_metrics

NOT_METRICS = {*AUTO_RESULT_KEYS, *DEBUG_METRICS, "epoch", TRIAL_SECONDS}
"""Numbers of a report that describe Ray's processes, the epoch, which is the step, and a sum over epochs."""
MOST_NOTES = 20_000
"""Most reports in memory. More come together only while MLflow is away; checkpoints have those of ended trials."""


@dataclass(frozen=True, kw_only=True)
class EpochMetrics:
    """The metrics of an epoch, and when they were reported."""

    when: int
    """Milliseconds since 1970."""
    metrics: Mapping[str, float]


@dataclass
class Notes:
    """The reports of one trial in this process."""

    epochs: dict[int, EpochMetrics] = field(default_factory=dict)
    point: Mapping[str, Any] | None = None
    """The trial's settings. A population changes them on the way."""
    open: bool = True
    """Whether more reports may come."""
    first: int | None = None
    """The first epoch that was reported in this process. Earlier epochs are in the checkpoint."""


class Reports:
    """Written by Tune's callbacks, read by the thread that writes to MLflow. `metric` is the search's metric."""

    def __init__(self, metric: str) -> None:
        self.metric = metric
        self._lock = threading.Lock()
        self._notes: dict[str, Notes] = {}
        self._count = 0

    def begin(self, trial_id: str, point: Mapping[str, Any]) -> None:
        """A trial was started, or started again."""
        with self._lock:
            notes = self._notes.setdefault(trial_id, Notes())
            notes.point, notes.open = dict(point), True

    def note(self, trial_id: str, result: Mapping[str, Any]) -> None:
        """An epoch was reported. The first report of an epoch stays."""
        found = EpochMetrics(when=int(time.time() * 1000), metrics=numbers_of(result))
        with self._lock:
            notes, epoch = self._notes.setdefault(trial_id, Notes()), int(result["epoch"])
            notes.first = epoch if notes.first is None else min(epoch, notes.first)
            self._count += epoch not in notes.epochs
            notes.epochs.setdefault(epoch, found)
            if self._count > MOST_NOTES:
                self._drop_ended()

    def end(self, trial_id: str) -> None:
        """A trial has ended, and no more reports come."""
        with self._lock:
            self._notes.setdefault(trial_id, Notes()).open = False

    def is_open(self, trial_id: str) -> bool:
        """Whether Tune has begun the trial in this process and has not told its end."""
        with self._lock:
            return trial_id in self._notes and self._notes[trial_id].open

    def point(self, trial: SweepTrial) -> dict[str, Any]:
        """Return the trial's settings as they are now."""
        with self._lock:
            notes = self._notes.get(trial.id)
        return dict(trial.point if notes is None or notes.point is None else notes.point)

    def written(self, trial_id: str, epochs: Iterable[int]) -> None:
        """Forget reports that MLflow has."""
        with self._lock:
            if (notes := self._notes.get(trial_id)) is None:
                return
            for epoch in epochs:
                self._count -= notes.epochs.pop(epoch, None) is not None
            if not notes.open and not notes.epochs:
                del self._notes[trial_id]

    def of(self, trial: SweepTrial, folder: str, epochs: Collection[int], *, complete: bool) -> dict[int, EpochMetrics]:
        """Return the metrics of these epochs. `folder` has the trials' checkpoints.

        Without `complete`, epochs that were just reported may be left out: the study had them before their note. An
        epoch that no checkpoint has comes with the study's metric alone.
        """
        with self._lock:
            notes = self._notes.get(trial.id, Notes())
            noted, first = dict(notes.epochs), notes.first or 0
        found = {epoch: noted[epoch] for epoch in epochs if epoch in noted}
        missing = [epoch for epoch in epochs if epoch not in found and (complete or epoch < first)]
        if missing:
            found |= self._from_checkpoint(trial, folder, missing)
        return dict(sorted(found.items()))

    def _from_checkpoint(self, trial: SweepTrial, folder: str, epochs: Iterable[int]) -> dict[int, EpochMetrics]:
        trained = read_trial(folder, trial.id)
        history = [] if trained is None else trained.history
        seconds = [report.train_seconds + report.evaluate_seconds for report in history]
        if trial.over is not None:  # the last report came just before the end
            when = trial.over.timestamp() - sum(seconds)
        else:
            when = 0.0 if trial.began is None else trial.began.timestamp()
        known: dict[int, EpochMetrics] = {}
        for report, took in zip(history, seconds, strict=True):
            when += took
            metrics = numbers_of(reported_metrics(report, self.metric))
            known[report.epoch] = EpochMetrics(when=int(when * 1000), metrics=metrics)
        last = int(when * 1000)
        return {
            epoch: known.get(epoch, EpochMetrics(when=last, metrics={self.metric: trial.curve[epoch]}))
            for epoch in epochs
        }

    def _drop_ended(self) -> None:
        for trial_id in [trial_id for trial_id, notes in self._notes.items() if not notes.open]:
            self._count -= len(self._notes.pop(trial_id).epochs)


def numbers_of(report: Mapping[str, Any]) -> dict[str, float]:
    """Return the metrics in a report."""
    return {
        key: float(value)
        for key, value in report.items()
        if isinstance(value, numbers.Real) and not isinstance(value, bool) and key not in NOT_METRICS
    }
