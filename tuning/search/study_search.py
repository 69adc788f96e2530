"""The search algorithm of a sweep: an Optuna study behind Ray Tune's `Searcher` interface.

Ray's own `OptunaSearch` files trials that the scheduler stopped as COMPLETE, leaves NaN trials RUNNING
for ever, aborts on a report without the metric, and cannot be restored next to a durable study, which
is then ahead of Tune. Here the study is the only state: every trial carries its Ray id, and whatever
this class needs it reads from there, so that it can be killed and opened again at any time.

What a trial reports: `epoch`; the metric, once there is one; with the last epoch `finished: True` and
the best value so far as `best_<metric>`. From them a trial becomes COMPLETE (finished), PRUNED (stopped
by the scheduler) or FAIL (a fault, or a metric that is not a number). A trial whose settings need more memory
than there is is PRUNED with a violated constraint, from which TPE learns: it takes no notice of FAIL.
"""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState
from ray.tune.search import Searcher

from fame.errors import UserError, nearest
from tuning.faults import FAULT, Fault
from tuning.faults.disk import cannot_write, described
from tuning.faults.halt import halt
from tuning.search import SAMPLERS
from tuning.search.sampler import FeasibleSampler, distribution
from tuning.space import Space
from tuning.study.file import open_journal
from tuning.study.stage_uses import note_uses
from tuning.study.trials import LOST, RAY_ID

ORIGIN = "origin"
"""Attribute of a study: what it searches."""
MEMORY = "memory"
"""Constraint of a trial that it fits into memory."""
NOT_PICKLED = ("_storage", "_file", "_study", "_running_ids")


class StudySearch(Searcher):
    """Proposes the space's start points and then the sampler's points; files results in a durable study.

    `path` is the study's file (`tuning.study.file`); it may be on a network file system, where only one process,
    the sweep's driver, writes it. A study that is there is continued, if it has the same space and metric.
    `room` says how many trials may run at a time, which may change; without it Tune decides.
    Raises `UserError` for an unknown sampler, a file that cannot be written, and another sweep's study.
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
        mode: str = "max",
        trials: int,
        room: Callable[[], int] | None = None,
    ) -> None:
        super().__init__(metric=metric, mode=mode)
        if sampler not in SAMPLERS:
            raise UserError(f"unknown sampler '{sampler}': {nearest(sampler, SAMPLERS)}")
        if seed < 0:
            raise UserError(f"seed = {seed}: must not be negative")
        self.space, self.path, self.name, self.trials = space, Path(path).absolute(), name, trials
        self.room = room
        self.sampler = FeasibleSampler(space, sampler, seed, trials)
        self._study: optuna.Study | None = None
        self._open()

    @property
    def study(self) -> optuna.Study:
        return self._study or self._open()

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        """The next point; None while there is no room for it; FINISHED after `trials` or when a small space has no more.

        None, too, if it cannot be written down, which stops the sweep, as it does in the methods below.
        """
        with self._writing():
            # First of all, because Tune asks at every step: the rest looks at all trials.
            if self.room is not None and len(self._running_ids) >= self.room():
                return None
            return self._suggest(trial_id)

    def _suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        trials = self.study.get_trials(deepcopy=False)
        if sum(trial.state != TrialState.WAITING and LOST not in trial.user_attrs for trial in trials) >= self.trials:
            return Searcher.FINISHED
        queued = any(trial.state == TrialState.WAITING for trial in trials)
        if not queued and self.sampler.grid is not None and not self.sampler.untried(self.study):
            return Searcher.FINISHED
        with self._file.until_the_next():
            trial = self.study.ask()
            point = self.space.sample(trial)
        trial.set_user_attr(RAY_ID, trial_id)  # last: a trial that has it is complete
        self._running_ids[trial_id] = trial._trial_id
        return point

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        with self._writing():
            if trial := self._running(trial_id):
                self._report(trial, result)

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        with self._writing():
            self._complete(trial_id, result, error)

    def _complete(self, trial_id: str, result: dict[str, Any] | None, error: bool) -> None:
        trial, result = self._running(trial_id), result or {}
        if trial is None:  # told before: the study was ahead of the state that Tune was restored from
            return
        self._report(trial, result)  # the report at which the scheduler stops a trial comes only here
        if (fault := Fault.of(result) or Fault.of(trial.user_attrs)) is not None:
            self._tell_fault(trial, fault)
            return
        finished = bool(result.get("finished"))
        value = result.get(f"best_{self.metric}" if finished else self.metric)
        if error or (value is None and finished) or (value is not None and not math.isfinite(value)):
            self._end(trial, TrialState.FAIL)
        elif finished:
            self._end(trial, TrialState.COMPLETE, value)
        else:
            self._end(trial, TrialState.PRUNED)

    def _tell_fault(self, trial: FrozenTrial, fault: Fault) -> None:
        if fault.kind == "infeasible":
            # By how much is not known. A trial without the constraint counts as one that meets it.
            optuna.Trial(self.study, trial._trial_id).set_constraint(MEMORY, 1.0)
        self._storage.set_trial_user_attr(trial._trial_id, FAULT, str(fault))
        self._end(trial, TrialState.PRUNED if fault.kind == "infeasible" else TrialState.FAIL)

    def _end(self, trial: FrozenTrial, state: TrialState, value: float | None = None) -> None:
        self.study.tell(trial.number, value, state=state)
        self._running_ids.pop(trial.user_attrs.get(RAY_ID), None)

    def judge(self, trial_id: str, fault: Fault) -> None:
        """Note why a running trial is about to end."""
        with self._writing():
            if (trial := self._running(trial_id)) is not None:
                self._storage.set_trial_user_attr(trial._trial_id, FAULT, str(fault))

    def find(self, trial_id: str) -> FrozenTrial | None:
        """The trial of this id in Tune; None if the study does not know it."""
        for trial in reversed(self.study.get_trials(deepcopy=False)):
            if trial.user_attrs.get(RAY_ID) == trial_id:
                return trial
        return None

    def adopt(self, trial_id: str, point: Mapping[str, Any]) -> None:
        """Take in a running trial that Tune knows and the study has lost."""
        for trial in self.study.get_trials(deepcopy=False, states=(TrialState.WAITING,)):
            if trial.system_attrs.get("fixed_params") == point:  # then that it was proposed is lost, too
                self._storage.set_trial_user_attr(trial._trial_id, LOST, True)
                self._storage.set_trial_state_values(trial._trial_id, TrialState.FAIL)
                break
        self.study.add_trial(
            optuna.create_trial(
                state=TrialState.RUNNING,
                params=dict(point),
                distributions={key: distribution(self.space.search[key].domain) for key in point},
                user_attrs={RAY_ID: trial_id},
            )
        )
        self._index()

    def reconcile(self, known_trial_ids: Collection[str]) -> None:
        """After a kill: give up running trials that Tune does not know, and queue their points again.

        `restore` calls it; a sweep that Tune had not saved at all is reconciled with no ids.
        """
        for trial in self.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            if trial.user_attrs.get(RAY_ID) in known_trial_ids:
                continue
            # A trial without an id was killed while it was sampled: only a queued one has its point.
            point = trial.params if RAY_ID in trial.user_attrs else trial.system_attrs.get("fixed_params")
            self._storage.set_trial_user_attr(trial._trial_id, LOST, True)
            self._end(trial, TrialState.FAIL)
            if point is not None:
                self.study.enqueue_trial(point)

    def save(self, checkpoint_path: str) -> None:
        """Called with each save of Tune's state, once a second. The study has its own files; Tune wants one, too."""
        Path(checkpoint_path).touch()

    def restore(self, checkpoint_path: str) -> None:
        """Tune's own state, which lies beside the copy, says which trials Tune knows.

        It is the one file to trust: a kill in the middle of Tune's upload leaves files cut off or of
        different age, and had this one been cut off, Tune would not have come here.
        """
        # Ray names the files by time and has just loaded the newest.
        tune_state = max(Path(checkpoint_path).parent.glob("experiment_state-*.json")).read_text(encoding="utf-8")
        ray_ids = (trial.user_attrs.get(RAY_ID) for trial in self.study.get_trials(deepcopy=False))
        self.reconcile([ray_id for ray_id in ray_ids if ray_id and ray_id in tune_state])

    def __getstate__(self) -> dict[str, Any]:
        """For Tune, which pickles the searcher with the sweep: the study itself stays in its file."""
        return {name: value for name, value in self.__dict__.items() if name not in NOT_PICKLED}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        self.__dict__.update(state, _study=None)

    def _open(self) -> optuna.Study:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._storage, self._file = open_journal(self.path, print)
        study = optuna.create_study(
            storage=self._storage,
            study_name=self.name,
            direction="maximize" if self.mode == "max" else "minimize",
            sampler=self.sampler,
            pruner=optuna.pruners.NopPruner(),
            load_if_exists=True,
        )
        origin = json.loads(json.dumps({"space": self.space.to_dict(), "metric": self.metric, "mode": self.mode}))
        if study.user_attrs.get(ORIGIN, origin) != origin:
            raise UserError(f"{self.path} is the study of another search space or metric: use another --name")
        if ORIGIN not in study.user_attrs:
            for point in self.space.start:
                study.enqueue_trial(dict(point), skip_if_exists=True)  # those before a kill are there
            study.set_user_attr(ORIGIN, origin)
        self._study = study
        self._index()
        return study

    def _index(self) -> None:
        running = self.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
        self._running_ids = {t.user_attrs[RAY_ID]: t._trial_id for t in running if RAY_ID in t.user_attrs}
        """Of the trials that run: Tune's id, and the study's. So a result costs the same however many there were."""

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        """Around what Tune calls: a study that cannot be written stops the sweep softly."""
        assert self.study is not None  # opened, if it is not yet
        try:
            yield
        except OSError as error:
            if not cannot_write(error):
                raise
            self._file.fault = error
        if self._file.fault is not None:
            halt(f"cannot write {described(self._file.fault, self.path)}")

    def _running(self, trial_id: str) -> FrozenTrial | None:
        number = self._running_ids.get(trial_id)
        return None if number is None else self._storage.get_trial(number)

    def _report(self, trial: FrozenTrial, result: Mapping[str, Any]) -> None:
        note_uses(self._storage, trial, result)
        value, epoch = result.get(self.metric), result.get("epoch")
        if value is None or epoch is None or not math.isfinite(value):
            return
        if epoch not in trial.intermediate_values:  # a trial that was restarted repeats epochs
            self._storage.set_trial_intermediate_value(trial._trial_id, epoch, float(value))
