"""The study of a sweep, open for writing. Only the sweep's driver writes it.

Every trial carries its id in Tune. Whatever the search has to know it reads from the study, so the driver can be
killed and restarted at any time.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

import optuna
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial, TrialState

from fame.errors import UserError
from tuning.faults import FAULT, Fault
from tuning.space import Space
from tuning.study import sanity
from tuning.study.aims import Limit, broken
from tuning.study.beginning import begin, open_study
from tuning.study.distributions import distributions
from tuning.study.file import open_journal
from tuning.study.lessons import Lesson
from tuning.study.overview import Overview, overview, trials_of
from tuning.study.reading import TRACKED, tracked_of
from tuning.study.stage_uses import ATTRIBUTE
from tuning.study.trials import (
    BROKEN,
    EARLIER,
    LOST,
    MODEL_FROM,
    NUMBERS,
    RAY_ID,
    State,
    SweepTrial,
)

SPENT = "spent"
"""Attribute of a study: the seconds of its time budget that were used."""
MEMORY = "memory"
"""Constraint of a trial: it fits into memory."""


class Record:
    """The study in the file at `path`, new or continued. `sampler` proposes points of `space`. A new study gets
    `lessons`, from which the sampler learns. The sampler learns to keep the `limits`.

    Raises `UserError` if the file cannot be written, or holds the study of another space or metric.
    """

    def __init__(
        self,
        path: Path,
        name: str,
        space: Space,
        metric: str,
        sampler: BaseSampler,
        lessons: Sequence[Lesson],
        limits: Sequence[Limit] = (),
    ) -> None:
        self.path, self.space, self.limits = path, space, limits
        self._storage, self.file = open_journal(path, print)
        self.study = open_study(self._storage, name, sampler)
        if not begin(self.study, space, metric, lessons, limits):
            raise UserError(f"{path} is the study of another search space or metric: use another --name")
        self._running: dict[str, int] = {}
        """Running trials: Tune's id and the study's id. A result costs the same however many trials there are."""
        self._index()

    # Reading.

    def trials(self) -> list[SweepTrial]:
        """Return the sweep's trials in the order of their proposals."""
        return trials_of(self.study)

    @property
    def overview(self) -> Overview:
        """The overview of all trials, at a cost that does not grow with their number."""
        return overview(self.study)

    def ids(self) -> set[str]:
        """Return the ids of all trials that ever were, lost ones too."""
        return set(self.overview.trials)

    def find(self, trial_id: str) -> SweepTrial | None:
        """Return the trial with this id in Tune; None if the study does not know it."""
        return self.overview.trials.get(trial_id)

    @property
    def running(self) -> int:
        """Number of trials that run."""
        return len(self._running)

    @property
    def spent(self) -> float:
        """Seconds of the time budget that the sweep has used."""
        return self.study.user_attrs.get(SPENT, 0.0)

    # Writing.

    def note_spent(self, seconds: float) -> None:
        """Note the seconds of the time budget that the sweep has used."""
        self.study.set_user_attr(SPENT, seconds)

    def note_tracked(self, ids: Mapping[str, str]) -> None:
        """Note the sweep's run in MLflow, if it is another one than before."""
        if tracked_of(self.study) != ids:
            self.study.set_user_attr(TRACKED, dict(ids))

    def note_sanity(self, lines: sanity.Sanity) -> None:
        """Note the metrics of models that count, beside those of the trials."""
        self.study.set_user_attr(sanity.ATTRIBUTE, lines)

    def propose(self, trial_id: str) -> dict[str, Any]:
        """Begin a trial and return its point."""
        with self.file.until_the_next():
            trial = self._begin()
            point = self.space.sample(trial)
        trial.set_user_attr(RAY_ID, trial_id)  # last: a trial that has its id is complete
        self._running[trial_id] = trial._trial_id
        return point

    def _begin(self) -> optuna.Trial:
        """Begin Optuna's next trial. `Study.ask` would look through all trials for a queued point."""
        if self.overview.queued:
            return self.study.ask()
        return optuna.Trial(self.study, self._storage.create_new_trial(self.study._study_id))

    def report(
        self,
        trial_id: str,
        epoch: int | None,
        value: float | None,
        *,
        backbone: bool,
        uses: Mapping[str, float],
        numbers: Mapping[str, float] = MappingProxyType({}),
    ) -> None:
        """Note an epoch's validation metric, and how the trial came to the results of shared stages.

        `backbone` says that the epoch trained the backbone, not the model. A restarted trial repeats epochs: the
        first report of an epoch stays.
        """
        if (trial := self._trial(trial_id)) is None:
            return
        attributes = trial.user_attrs
        if uses and attributes.get(ATTRIBUTE) != uses:
            self._note(trial, ATTRIBUTE, dict(uses))
        if value is None or epoch is None:
            self._note_numbers(trial, numbers)
            return
        if not backbone and epoch not in trial.intermediate_values:
            best = max(SweepTrial(trial).own_curve.values(), default=None)
            if best is None or value > best:
                self._note_numbers(trial, numbers)
        if backbone and MODEL_FROM not in attributes:
            self._note(trial, MODEL_FROM, 0)
        if not backbone and attributes.get(MODEL_FROM) == 0:
            self._note(trial, MODEL_FROM, epoch)
        if epoch not in trial.intermediate_values:
            self._storage.set_trial_intermediate_value(trial._trial_id, epoch, float(value))

    def note_fault(self, trial_id: str, fault: Fault) -> None:
        """Note why a running trial is about to end."""
        if (trial := self._trial(trial_id)) is not None:
            self._note(trial, FAULT, str(fault))

    def end(self, trial_id: str, state: State, value: float | None = None, fault: Fault | None = None) -> None:
        """End a running trial. The fault that was noted for it, or `fault`, decides over `state`.

        A trial that needs more memory than there is becomes PRUNED with a violated constraint: TPE learns from it.
        TPE ignores trials that are FAIL.
        """
        if (trial := self._trial(trial_id)) is None:
            return
        fault = fault or Fault.of(trial.user_attrs)
        told = {"finished": TrialState.COMPLETE, "stopped": TrialState.PRUNED}.get(state, TrialState.FAIL)
        if fault is not None:
            told, value = TrialState.FAIL, None
            if fault.kind == "infeasible":
                # By how much is not known. A trial without the constraint counts as one that meets it.
                self._constrain(trial, {MEMORY: 1.0})
            if fault.kind in ("infeasible", "limit"):
                told = TrialState.PRUNED
            self._note(trial, FAULT, str(fault))
        numbers = SweepTrial(trial).numbers
        self._constrain(
            trial, {str(limit): limit.excess(numbers[limit.name]) for limit in self.limits if limit.name in numbers}
        )
        self._tell(trial, told, value)

    def adopt(self, trial_id: str, point: Mapping[str, Any]) -> None:
        """Take in a running trial that Tune knows and the study has lost."""
        for trial in self.study.get_trials(deepcopy=False, states=(TrialState.WAITING,)):
            if trial.system_attrs.get("fixed_params") == point:  # the study has lost that it was proposed, too
                self._note(trial, LOST, True)
                self._storage.set_trial_state_values(trial._trial_id, TrialState.FAIL)
                break
        self.study.add_trial(
            optuna.create_trial(
                state=TrialState.RUNNING,
                params=dict(point),
                distributions=distributions(self.space, point),
                user_attrs={RAY_ID: trial_id},
            )
        )
        self._index()

    def reopen(self, trial: SweepTrial) -> None:
        """Let an ended trial go on. Optuna's trials stay as they ended, so it gets another one with its epochs."""
        attributes = {key: value for key, value in trial.stored.user_attrs.items() if key != FAULT}
        self.study.add_trial(
            optuna.create_trial(
                state=TrialState.RUNNING,
                params=trial.stored.params,
                distributions=trial.stored.distributions,
                user_attrs=attributes | {EARLIER: trial.seconds(datetime.now())},
                intermediate_values=trial.curve,
            )
        )
        self._index()

    def give_up(self, known: Collection[str]) -> None:
        """After a kill: mark running trials that Tune does not know as lost, and queue their points again."""
        for trial in self.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            if trial.user_attrs.get(RAY_ID) in known:
                continue
            # A trial without an id was killed while it was sampled: only a queued one has its point.
            point = trial.params if RAY_ID in trial.user_attrs else trial.system_attrs.get("fixed_params")
            self._note(trial, LOST, True)
            self._tell(trial, TrialState.FAIL)
            if point is not None:
                self.study.enqueue_trial(point)

    def _trial(self, trial_id: str) -> FrozenTrial | None:
        number = self._running.get(trial_id)
        return None if number is None else self._storage.get_trial(number)

    def is_running(self, trial_id: str) -> bool:
        return trial_id in self._running

    def _note(self, trial: FrozenTrial, key: str, value: Any) -> None:
        self._storage.set_trial_user_attr(trial._trial_id, key, value)

    def _note_numbers(self, trial: FrozenTrial, numbers: Mapping[str, float]) -> None:
        found = SweepTrial(trial).numbers | dict(numbers)
        if found != SweepTrial(trial).numbers:
            self._note(trial, NUMBERS, found)
            self._note(trial, BROKEN, broken(self.limits, found))

    def _constrain(self, trial: FrozenTrial, constraints: Mapping[str, float]) -> None:
        """Note by how much a trial breaks its constraints. Optuna keeps the first note, which a killed driver left."""
        for key, value in constraints.items():
            if key not in trial.constraints:
                optuna.Trial(self.study, trial._trial_id).set_constraint(key, value)

    def _tell(self, trial: FrozenTrial, state: TrialState, value: float | None = None) -> None:
        self.study.tell(trial.number, value, state=state)
        self._running.pop(trial.user_attrs.get(RAY_ID, ""), None)

    def _index(self) -> None:
        running = self.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
        self._running = {t.user_attrs[RAY_ID]: t._trial_id for t in running if RAY_ID in t.user_attrs}
