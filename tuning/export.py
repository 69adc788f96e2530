"""The best configuration of a sweep, exported by itself.

Chosen by the validation metric among the trials that finished; only if none did (an early Ctrl-C)
among those that were stopped. The test metric is computed here, once, for the chosen one.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from fame.datasets import Dataset
from fame.errors import UserError
from fame.export import export_model
from fame.fit import Trained, read_trained
from tuning.search import RAY_ID
from tuning.storage import Storage, below


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
    if trial.state == TrialState.FAIL or RAY_ID not in trial.user_attrs:
        return None
    return max(trial.intermediate_values.values(), default=None)


def export_best(study: optuna.Study, storage: Storage, dataset: Dataset) -> Best | None:
    """Export the best trial that has trained the model (not its backbone alone); None if none has."""
    for trial in ranked(study):
        trial_id = trial.user_attrs[RAY_ID]
        trained = read_trial(below(storage.trials, trial_id))
        if trained is None or not trained.reached_model:
            continue
        extra = {"sweep": storage.name, "trial": trial_id, "finished": trained.history[-1].finished}
        metrics = export_model(storage.best, trained, dataset, extra)
        return Best(
            trial=trial,
            trial_id=trial_id,
            finished=trained.history[-1].finished,
            metrics=metrics,
            place=storage.publish_best(),
        )
    return None


def read_trial(folder: str) -> Trained | None:
    """The newest checkpoint of a trial's run; None if it has none that can be read."""
    from ray.train import Result
    from ray.train.v2._internal.exceptions import RayTrainError

    try:
        checkpoint = Result.from_path(folder).checkpoint
        if checkpoint is None:
            return None
        with checkpoint.as_directory() as local:
            return read_trained(Path(local))
    except (RuntimeError, FileNotFoundError):
        return None  # the trial ended before its first checkpoint
    except (UserError, RayTrainError) as error:  # cut off by a kill
        print(f"trial {folder.rpartition('/')[2]} is passed over: {error}")
        return None
