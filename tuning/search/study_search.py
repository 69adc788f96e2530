"""The search algorithm of a sweep: an Optuna study behind Ray Tune's `Searcher` interface.

Ray's own `OptunaSearch` marks trials that the scheduler stopped as COMPLETE. It leaves NaN trials RUNNING, stops at a
report without the metric, and cannot be restored beside a durable study. Here the study is the only state
(`tuning.study.record`).

A trial reports its `epoch` and the metric. Its last report has `finished: True` and the best value as
`best_<metric>`. From them a trial becomes finished, stopped by the scheduler, or failed.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import optuna
from ray.tune.search import Searcher

from fame.training.stages import BACKBONE
from tuning.faults import Fault
from tuning.faults.disk import cannot_write, described
from tuning.faults.halt import halt
from tuning.search.sampler import FeasibleSampler
from tuning.space import Space
from tuning.study.aims import Limit, watched
from tuning.study.lessons import Lesson
from tuning.study.record import Record
from tuning.study.stage_uses import from_metrics, to_metrics
from tuning.study.trials import STANDARD_ERROR, SweepTrial, without_progress


def point_alone(point: Mapping[str, Any], epoch: int) -> dict[str, Any]:
    return dict(point)


class StudySearch(Searcher):
    """Proposes the space's start points, then the sampler's points, and files results in the study.

    `path` is the study's file. A study that is there is continued, if it has the same space and metric. `room` says how
    many trials may run at a time, which may change; without it Tune decides. After `stop_after` trials without a better
    one no more are proposed. `expected` is the number of trials that a limit on time is thought to allow. A new study
    gets `lessons`. `aims` are all aims, the metric first, if there are several. Trials should keep the `limits`.
    `going_on` makes Tune's configuration of a trial that goes on after an epoch.

    Raises `UserError` for a file that cannot be written, and for another sweep's study.
    """

    def __init__(
        self,
        space: Space,
        path: str | Path,
        *,
        name: str = "sweep",
        sampler: str = "tpe",
        seed: int = 0,
        metric: str = "ndcg@10",
        aims: Sequence[str] = (),
        limits: Sequence[Limit] = (),
        trials: int,
        room: Callable[[], int] | None = None,
        stop_after: int | None = None,
        expected: int | None = None,
        lessons: Sequence[Lesson] = (),
        going_on: Callable[[Mapping[str, Any], int], dict[str, Any]] = point_alone,
    ) -> None:
        super().__init__(metric=metric, mode="max")
        self.space, self.path, self.name, self.planned, self.room = space, Path(path).absolute(), name, trials, room
        self.stop_after, self.lessons, self.going_on = stop_after, lessons, going_on
        self.sampler = FeasibleSampler(space, sampler, seed, expected or trials, aims)
        self.limits, self.watched = limits, watched(aims, limits)
        self._record: Record | None = None
        self._record = self.record
        self.waiting: list[str] = []
        """Ids of running trials that Tune does not know yet. They go on from their checkpoints."""

    @property
    def record(self) -> Record:
        """The study, opened again in a process that got a pickled copy of this object."""
        if self._record is None:
            self._record = Record(
                self.path, self.name, self.space, self.metric, self.sampler, self.lessons, self.limits
            )
        return self._record

    @property
    def study(self) -> optuna.Study:
        """Optuna's own object."""
        return self.record.study

    def suggest(  # type: ignore[override] # Ray's type lacks FINISHED, which its documentation has
        self, trial_id: str
    ) -> dict[str, Any] | str | None:
        """Return the next point, None while there is no room for a trial, FINISHED if there are no more points.

        A study that cannot be written stops the sweep and gives None.
        """
        with self.writing():
            # Tune asks at every step: this is cheap, the rest reads the study.
            if self.room is not None and self.record.running - len(self.waiting) >= self.room():
                return None
            if trial_id in self.waiting:
                self.waiting.remove(trial_id)
                trial = self.record.find(trial_id)
                assert trial is not None
                return self.going_on(trial.point, trial.epoch)
            known = self.record.overview
            if known.proposed >= self.planned or self.stagnates:
                return Searcher.FINISHED
            if not known.queued and self.sampler.grid is not None and not self.sampler.untried(known.tried):
                return Searcher.FINISHED
            return self.record.propose(trial_id)

    def next_id(self) -> str | None:
        """Return the id of a trial that has to go on, which Tune asks `suggest` for next; None for a new trial."""
        return self.waiting[0] if self.waiting else None

    @property
    def stagnates(self) -> bool:
        """Whether the best trial has not changed for as many trials as the user allows."""
        return self.stop_after is not None and without_progress(self.record.trials()) >= self.stop_after

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        with self.writing():
            self._report(trial_id, result)

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        with self.writing():
            if self.record.is_running(trial_id):  # else it was told before Tune's state was saved
                self._complete(trial_id, result or {}, error)

    def go_on(self, again: Iterable[SweepTrial] = (), known: Collection[str] = ()) -> None:
        """Let these ended trials go on, and the running trials that Tune does not know and that have an epoch.

        The points of other running trials that Tune does not know are queued again. `known` has the running trials that it knows.
        """
        with self.writing():
            for trial in again:
                self.record.reopen(trial)
            left = [trial for trial in self.record.trials() if trial.state == "running" and trial.id not in known]
            self.waiting = [trial.id for trial in left if trial.epoch]
            self.record.give_up([*known, *self.waiting])

    def save(self, checkpoint_path: str) -> None:
        """Tune calls this with each save of its state and wants a file. The study has its own files."""
        Path(checkpoint_path).touch()

    def restore(self, checkpoint_path: str) -> None:
        """Take in the running trials that Tune's own state does not know. That state lies beside the checkpoint.

        A kill during Tune's upload leaves files cut off or of different age. Tune's state is the one file to trust:
        if it were cut off, Tune would not have come here.
        """
        # Ray names the files by time and has just loaded the newest.
        state = max(Path(checkpoint_path).parent.glob("experiment_state-*.json")).read_text(encoding="utf-8")
        running = (trial.id for trial in self.record.trials() if trial.state == "running")
        self.go_on(known=[trial_id for trial_id in running if trial_id in state])  # a search of many MB for each

    def __getstate__(self) -> dict[str, Any]:
        """Tune pickles the searcher with the sweep. The study stays in its file."""
        return {**self.__dict__, "_record": None}

    def _report(self, trial_id: str, result: Mapping[str, Any]) -> None:
        value, epoch = result.get(self.metric), result.get("epoch")
        if value is not None and not math.isfinite(value):
            value = None
        uses = to_metrics(from_metrics(result))
        names = (*self.watched, STANDARD_ERROR)
        numbers = {name: float(result[name]) for name in names if math.isfinite(result.get(name, math.nan))}
        backbone = result.get("stage") == BACKBONE
        self.record.report(trial_id, epoch, value, backbone=backbone, uses=uses, numbers=numbers)

    def _complete(self, trial_id: str, result: Mapping[str, Any], error: bool) -> None:
        self._report(trial_id, result)  # the report at which the scheduler stops a trial comes only here
        finished = bool(result.get("finished"))
        value = result.get(f"best_{self.metric}" if finished else self.metric)
        if error or (value is None and finished) or (value is not None and not math.isfinite(value)):
            self.record.end(trial_id, "failed", fault=Fault.of(result))
        elif finished:
            self.record.end(trial_id, "finished", value, fault=Fault.of(result))
        else:
            self.record.end(trial_id, "stopped", fault=Fault.of(result))

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """Write to `record` in the block. Stop the sweep softly if the study cannot be written."""
        file = self.record.file
        try:
            yield
        except OSError as error:
            if not cannot_write(error):
                raise
            file.fault = error
        if file.fault is not None:
            halt(f"cannot write {described(file.fault, self.path)}")
