"""Some trials as a study of their own. Optuna reads them without a copy of each."""

from __future__ import annotations

import copy
from collections.abc import Container, Sequence
from typing import Any, Literal

import optuna
from optuna.storages import BaseStorage, InMemoryStorage
from optuna.trial import FrozenTrial, TrialState

Direction = Literal["minimize", "maximize"]


class _Excerpt(InMemoryStorage):
    """Samplers and plots read the trials of a storage. A sampler also notes its proposal at the trial that asks."""

    def __init__(self, trials: Sequence[FrozenTrial], notes: BaseStorage | None) -> None:
        super().__init__()
        self._trials, self._notes = {trial._trial_id: trial for trial in trials}, notes

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        return [trial for trial in self._trials.values() if states is None or trial.state in states]

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        trial = self._trials[trial_id] = copy.copy(self._trials[trial_id])
        trial.system_attrs = {**trial.system_attrs, key: value}
        if self._notes is not None:
            self._notes.set_trial_system_attr(trial_id, key, value)


def excerpt(
    trials: Sequence[FrozenTrial], directions: Sequence[Direction] = ("maximize",), notes: BaseStorage | None = None
) -> optuna.Study:
    """Return a study of these trials. What a sampler notes of a trial goes to the storage `notes`, too."""
    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(max(level, optuna.logging.WARNING))  # else Optuna tells of a new study
    try:
        return optuna.create_study(storage=_Excerpt(trials, notes), directions=list(directions))
    finally:
        optuna.logging.set_verbosity(level)
