"""Training on a dataset in memory or in a folder, to a model that recommends."""

from __future__ import annotations

import copy
import os
import shutil
import tempfile
import weakref
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from fame.artifacts import LocalFolder
from fame.config import Experiment, require
from fame.config.tree import assign, experiment_from_dict, read_yaml
from fame.datasets import Dataset
from fame.errors import UserError
from fame.library.model import Model
from fame.library.progress import Bar, Progress
from fame.library.settings import check_dataset, dotted
from fame.runtime.files import writing
from fame.runtime.parallel import Workers
from fame.serving.export import export_model, export_refit
from fame.serving.exported import EVALUATED, WEIGHTS, load_model
from fame.training import fit as training
from fame.training.earlier import Earlier, match
from fame.training.refit import refit as refitted
from fame.training.resolve import resolve


def fit(
    data: Dataset,
    *,
    model: str | None = None,
    config: str | os.PathLike[str] | Mapping[str, Any] | None = None,
    folder: str | os.PathLike[str] | None = None,
    start: Model | str | os.PathLike[str] | None = None,
    progress: bool = True,
    **settings: Any,
) -> Model:
    """Train a model and return it at its best epoch on validation.

    `model` is a registered name: `fame` by default, `sasrec`, … `settings` are those of docs/SETTINGS.md under their
    plain name, such as `epochs=12`, `lr=1e-3` or `heads=4`. A section is a mapping: `text={"epochs": 10}`.
    `config` is a YAML file or nested dictionaries that they change, such as the `config.yaml` of a saved model.

    With `folder` the checkpoint of each epoch stays there, the same call goes on after an interruption, and the model
    is kept in `folder/best`. Without it nothing stays: `Model.save` keeps the model. `progress` shows a bar.

    `start` is an earlier model, or its folder, to go on from: with its settings, and with its weights for the items that
    it knows. Keywords such as `epochs=3` change settings of the training.

    Raises `UserError` for settings that cannot be used, `DivergedError` if the loss is not finite.

        >>> import fame
        >>> data = fame.Dataset.named("synthetic", size={"users": 60, "items": 30})
        >>> fame.fit(data, model="sasrec", epochs=1, dim=16)
        Model(sasrec on synthetic: ndcg@10 validation ..., test ...)
        >>> fame.fit(data, model="sasrec", epoch=1)
        Traceback (most recent call last):
        fame.errors.UserError: unknown setting 'epoch': did you mean 'epochs'? ...
    """
    check_dataset(data)
    source = start.folder if isinstance(start, Model) else Path(start) if start is not None else None
    if source is not None and config is None:
        config = source / "config.yaml"
    experiment = prepared(experiment_of(data, model, config, settings), data, Workers.current())
    earlier = earlier_model(source, experiment, data) if source is not None else None
    place = Path(folder) if folder is not None else Path(tempfile.mkdtemp(prefix="fame-model-"))
    # Stages other than the model's own may have epochs, too.
    name, epochs = experiment.model.name, experiment.train.epochs + experiment.backbone.epochs
    shown = Bar(name, epochs, silent=not progress)
    try:
        fitted = train(experiment, data, place, shown, earlier=earlier)
    except BaseException:
        if folder is None:
            shutil.rmtree(place, ignore_errors=True)
        raise
    if folder is None:
        weakref.finalize(fitted, shutil.rmtree, place, ignore_errors=True)
    return fitted


def earlier_model(folder: Path, experiment: Experiment, data: Dataset) -> Earlier:
    """Read an exported model to go on from; of a model that was trained on everything, the weights before that.

    Raises `UserError` if the folder holds none, or one that does not fit.
    """
    found = load_model(folder, EVALUATED if (folder / EVALUATED).is_file() else WEIGHTS)
    return match(experiment, data, found.experiment, found.model.state_dict(), found.catalogue.ids)


def experiment_of(
    data: Dataset,
    model: str | None,
    config: str | os.PathLike[str] | Mapping[str, Any] | None,
    settings: Mapping[str, Any],
) -> Experiment:
    """Return the experiment on a dataset: the file's settings, then those given as keywords. Raises `UserError`."""
    tree = (
        copy.deepcopy(dict(config)) if isinstance(config, Mapping) else read_yaml(os.fspath(config)) if config else {}
    )
    require(isinstance(tree, dict), "config", config, "must hold sections such as model and train")
    own, section = data.settings, tree.get("data") or {}
    if "max_length" in section:
        own["data.max_length"] = section["max_length"]
    tree["data"] = {}
    for key, value in own.items():
        assign(tree, key, value)
    if model is not None:
        assign(tree, "model.name", model)
    found = dotted(str((tree.get("model") or {}).get("name", "fame")), settings)
    for key in found:
        if key.startswith("data.") and key != "data.max_length":
            raise UserError(f"{key} prepares the data: give it to fame.Dataset, not to a training")
    # The recipe first: what is said beside it wins over it.
    for key in sorted(found, key=lambda key: key != "recipe"):
        assign(tree, key, found[key])
    return experiment_from_dict(tree)


def prepared(experiment: Experiment, data: Dataset, workers: Workers) -> Experiment:
    """Set the number of threads of this process, and return the experiment with all that it depends on written out."""
    threads = experiment.train.threads or torch.get_num_threads()
    torch.set_num_threads(threads)
    return resolve(experiment, data, workers.device, threads)


def train(
    experiment: Experiment,
    data: Dataset,
    folder: Path,
    progress: Progress,
    shared: LocalFolder | None = None,
    refit: bool = False,
    earlier: Earlier | None = None,
) -> Model:
    """Train (or go on training) in a folder, and export the best epoch to `folder/best`.

    With `refit` the exported model is trained once more on everything (`fame.training.refit`). `earlier` is a model to go
    on from. Stages that other trainings need, too, are taken from `shared`, and kept there. Raises `UserError` if the folder
    cannot be written or holds another training, `DivergedError` if the loss is not finite.
    """
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):  # before the first epoch, not after it
            pass
    try:
        with writing(folder):
            reports = training.fit(
                experiment, data.sequences, folder, on_step=progress.step, dataset=data, shared=shared, earlier=earlier
            )
            for report in reports:
                progress.epoch(report, experiment.train.metric)
        trained = training.read_trained(folder)
        export_model(folder / "best", trained, data, {"earlier": earlier.to_dict()} if earlier is not None else None)
        if refit:
            with writing(folder):
                again = refitted(trained, data, folder, on_step=progress.step, on_epoch=progress.refit, earlier=earlier)
            export_refit(folder / "best", again, data)
    finally:
        progress.close()
    return Model(folder / "best", data)
