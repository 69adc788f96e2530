"""The best configuration of a sweep, exported by itself.

Chosen by the validation metric among the trials that finished; only if none did (an early Ctrl-C)
among those that were stopped. The test metric is computed here, once, for the chosen one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import optuna
from optuna.trial import FrozenTrial

from fame.datasets import Dataset
from fame.errors import UserError
from fame.serving.export import export_model
from tuning.faults.halt import halted
from tuning.storage.layout import Storage
from tuning.study.trials import RAY_ID, ranked
from tuning.trial.checkpoints import read_trial


@dataclass(frozen=True, kw_only=True)
class Best:
    """What was exported."""

    trial: FrozenTrial
    trial_id: str
    finished: bool
    metrics: dict[str, Any]
    place: str


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
