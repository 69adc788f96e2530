"""The best configuration of a sweep, exported.

The validation metric chooses among the trials that finished. If none finished, it chooses among the others. The test
metric is computed here, once, for the chosen trial.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from fame.datasets import Dataset
from fame.errors import UserError
from fame.serving.export import export_model, export_refit
from fame.training.fit import Trained
from fame.training.refit import best_epochs, refit
from tuning.faults.halt import halted
from tuning.storage.layout import Storage
from tuning.study.trials import SweepTrial, ranked
from tuning.trial.checkpoints import read_trial


@dataclass(frozen=True, kw_only=True)
class Best:
    """An exported configuration."""

    trial_id: str
    point: Mapping[str, Any]
    finished: bool
    metrics: dict[str, Any]
    place: str


def export_best(
    trials: Iterable[SweepTrial], storage: Storage, dataset: Dataset, refit_all: bool = False
) -> Best | None:
    """Export the best trial that has trained the model itself, not its backbone alone. Return None if none has.

    With `refit_all` its model is trained once more on everything.

    Return None, too, if the sweep was stopped because nothing can be written: the resumed sweep exports the best.
    Raises `UserError` if the export is the first to find that out.
    """
    for trial in ranked(trials):
        trained = read_trial(storage.trials, trial.id)
        if trained is None or not trained.reached_model:
            continue
        finished = trained.history[-1].finished
        extra = {"sweep": storage.name, "trial": trial.id, "finished": finished}
        try:
            return Best(
                trial_id=trial.id,
                point=trial.point,
                finished=finished,
                metrics=export_chosen(storage, trained, dataset, extra, refit_all=refit_all),
                place=storage.publish_best(),
            )
        except UserError as error:
            if halted() is None:
                raise
            print(f"the best so far, {trial.id}, is not exported: {error}")
            return None
    return None


def export_chosen(
    storage: Storage,
    trained: Trained,
    dataset: Dataset,
    extra: dict[str, Any],
    repeats: Sequence[Trained] = (),
    refit_all: bool = False,
) -> dict[str, Any]:
    """Export a model, and train it once more on everything if that was asked for. Return its metrics."""
    metrics = export_model(storage.best, trained, dataset, extra, repeats)
    if not refit_all:
        return metrics
    threads = trained.experiment.train.threads
    if threads:
        torch.set_num_threads(threads)
    epochs = best_epochs(trained)
    print(
        f"refit  {', '.join(f'{count} epochs of {stage}' for stage, count in epochs.items())} on everything", flush=True
    )
    return export_refit(storage.best, refit(trained, dataset, storage.local), dataset)
