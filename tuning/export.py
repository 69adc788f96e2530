"""The best configuration of a sweep, exported by itself.

Chosen by the validation metric among the trials that finished; only if none did (an early Ctrl-C)
among those that were stopped. The test metric is computed here, once, for the chosen one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from fame.datasets import Dataset
from fame.errors import UserError
from fame.export import export_model
from fame.fit import Trained, read_trained
from tuning.faults import FAULT
from tuning.faults.halt import halted
from tuning.search import RAY_ID
from tuning.storage import Storage


@dataclass(frozen=True, kw_only=True)
class Best:
    """What was exported."""

    trial: FrozenTrial
    trial_id: str
    finished: bool
    metrics: dict[str, Any]
    place: str


def ranked(study: optuna.Study) -> list[FrozenTrial]:
    """Trials with a value, best first: those that finished, then those that were stopped."""
    trials = [trial for trial in study.get_trials(deepcopy=False) if score(trial) is not None]
    return sorted(trials, key=lambda trial: (trial.state == TrialState.COMPLETE, score(trial)), reverse=True)


def score(trial: FrozenTrial) -> float | None:
    """Best validation metric that is known of a trial."""
    if trial.state == TrialState.COMPLETE:
        return trial.value
    if trial.state == TrialState.FAIL or FAULT in trial.user_attrs or RAY_ID not in trial.user_attrs:
        return None
    return max(trial.intermediate_values.values(), default=None)


def export_best(study: optuna.Study, storage: Storage, dataset: Dataset) -> Best | None:
    """Export the best trial that has trained the model (not its backbone alone); None if none has.

    None also if the sweep was stopped because nothing can be written: whoever resumes it exports the best.
    Raises `UserError` if that is found out only here.
    """
    for trial in ranked(study):
        trial_id = trial.user_attrs[RAY_ID]
        trained = read_trial(storage.trials, trial_id)
        if trained is None or not trained.reached_model:
            continue
        extra = {"sweep": storage.name, "trial": trial_id, "finished": trained.history[-1].finished}
        try:
            return Best(
                trial=trial,
                trial_id=trial_id,
                finished=trained.history[-1].finished,
                metrics=export_model(storage.best, trained, dataset, extra),
                place=storage.publish_best(),
            )
        except UserError as error:
            if halted() is None:
                raise
            print(f"the best so far, {trial_id}, is not exported: {error}")
            return None
    return None


def read_trial(trials: str, trial_id: str) -> Trained | None:
    """The newest checkpoint of a trial that can be read; None if it has none."""
    from tuning.trial.checkpoints import Kept

    name, trained, damage = Kept(trials, trial_id).newest(read_trained)
    if damage:
        found = f"{name} is used" if name else "it is passed over"
        print(f"trial {trial_id}: {'; '.join(damage)}; {found}")
    return trained
