"""The folder that a training leaves: a configuration that repeats it and a model that serves.

    config.yaml          the complete experiment; `python -m fame.train --config` repeats it
    model.safetensors    weights of the best epoch
    items.json           ids and titles of the catalogue, popularity in training
    metrics.json         validation, test (computed once, here), history, provenance
    ranks.safetensors    rank of every user's held-out item, to compare with other models (`fame.ranks`)
    probe.svg            which head knows which facet, for items that started from text
    README.md            model card

The folder appears whole or not at all. Reading it needs torch and safetensors, not the dataset.
"""

from __future__ import annotations

import dataclasses
import errno
import glob
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from fame.batches import device_values
from fame.card import model_card
from fame.checkpoint import load_checkpoint, save_checkpoint
from fame.config import Experiment
from fame.config_tree import read_experiment, to_dict, write_yaml
from fame.datasets import Dataset
from fame.errors import UserError
from fame.evaluate import Evaluator
from fame.fit import Trained
from fame.parallel import Workers
from fame.provenance import provenance
from fame.ranks import RANKS, Ranks, rules
from fame.registry import models
from fame.seeds import over_seeds
from fame.sequences import PARTS, Part
from fame.sequential import SequentialModel

if TYPE_CHECKING:
    from fame.text.disentanglement import Disentanglement


@dataclass(frozen=True, kw_only=True)
class Catalogue:
    """What serving needs to know of the items; item number i is entry i − 1 of each list."""

    ids: list[int | str]
    titles: list[str]
    counts: list[int]
    """How often each item occurs in the training data."""


@dataclass(frozen=True, kw_only=True)
class ExportedModel:
    """A model as read back from its folder."""

    model: SequentialModel
    experiment: Experiment
    catalogue: Catalogue
    facets: tuple[tuple[str, ...], ...] = ()
    """Names of the facets that each head learned from text; empty without that stage."""


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """What the final evaluation of a model found."""

    metrics: dict[Part, dict[str, float]]
    by_frequency: dict[Part, dict[str, dict[str, float]]]
    """Metrics by how often the target occurs in training."""
    ranks: dict[Part, Tensor]
    """Rank of every user's held-out item, in the order of the users in the data."""


def evaluate_weights(
    experiment: Experiment, dataset: Dataset, weights: dict[str, Tensor], workers: Workers
) -> Evaluation:
    """Rank the held-out items of validation and test by trained weights."""
    model = build_model(experiment, dataset.sequences.item_count, weights).to(workers.device)
    values = device_values(dataset.sequences, workers.device)
    settings = (experiment.data.max_length, experiment.evaluate, workers)
    evaluators = {part: Evaluator(dataset.sequences, values, part, *settings) for part in PARTS}
    ranks = {part: evaluator.ranks(model) for part, evaluator in evaluators.items()}
    return Evaluation(
        metrics={part: evaluator.means(ranks[part]) for part, evaluator in evaluators.items()},
        by_frequency={part: evaluator.by_frequency(ranks[part]) for part, evaluator in evaluators.items()},
        ranks={part: evaluator.by_user(ranks[part]) for part, evaluator in evaluators.items()},
    )


def build_model(experiment: Experiment, item_count: int, weights: dict[str, Tensor]) -> SequentialModel:
    """The experiment's model with these weights."""
    model = models.get(experiment.model.name)(experiment.model, item_count, experiment.data.max_length)
    model.load_state_dict(weights)
    return model.eval()


def export_model(
    folder: Path,
    trained: Trained,
    dataset: Dataset,
    extra: dict[str, Any] | None = None,
    repeats: Sequence[Trained] = (),
) -> dict[str, Any]:
    """Evaluate the best weights and write the folder, in place of one that is there.

    `repeats` are trainings of the same configuration with other seeds: their metrics and ranks join those of
    the model. Returns what `metrics.json` holds; `extra` is added to it. Raises `UserError` if the folder
    cannot be written.
    """
    experiment, weights = trained.experiment, trained.weights
    found = {
        one.experiment.seed: evaluate_weights(one.experiment, dataset, one.weights, Workers.current())
        for one in sorted((trained, *repeats), key=lambda one: one.experiment.seed)
    }
    ours = found[experiment.seed]
    facets = _disentanglement(experiment, dataset, weights)
    last = trained.history[-1]
    metrics = {
        "metric": experiment.train.metric,
        **ours.metrics,
        "by_frequency": ours.by_frequency,
        **({"seeds": _summary(found)} if repeats else {}),
        "best_epoch": last.best_epoch,
        "epochs": last.epoch,
        "seed": experiment.seed,
        "train_seconds": sum(report.train_seconds for report in trained.history),
        "dataset": {
            "name": dataset.config.name,
            "recipe": dataset.config.recipe,
            "fingerprint": dataset.fingerprint,
            "items_fingerprint": dataset.items_fingerprint,
            "statistics": dict(dataset.statistics),
        },
        **({"facets": names} if (names := _trained_facets(experiment, dataset)) else {}),
        **({"changes": [dataclasses.asdict(change) for change in trained.changes]} if trained.changes else {}),
        **({"disentanglement": facets.to_dict()} if facets else {}),
        **(extra or {}),
        "provenance": provenance(),
        "history": [dataclasses.asdict(report) for report in trained.history],
    }
    items, counts = dataset.items, dataset.train_counts[1:].tolist()
    titles = [items.title(number) for number in range(1, len(items) + 1)]
    catalogue = {"ids": items.ids.tolist(), "titles": titles, "counts": counts}
    header = {"model": experiment.model.name, "item_count": len(items), "max_length": experiment.data.max_length}
    header["facets"] = metrics.get("facets", [])
    ranks = Ranks(
        fingerprint=dataset.fingerprint,
        rules=rules(experiment.evaluate),
        by_seed={seed: one.ranks for seed, one in found.items()},
    )
    with writing(folder), _replacing(folder) as temporary:
        (temporary / "config.yaml").write_text(write_yaml(to_dict(experiment)), encoding="utf-8")
        save_checkpoint(temporary / "model.safetensors", weights, header)
        ranks.write(temporary / RANKS)
        (temporary / "items.json").write_text(json.dumps(catalogue, ensure_ascii=False), encoding="utf-8")
        (temporary / "metrics.json").write_text(json.dumps(metrics, indent=1) + "\n", encoding="utf-8")
        if facets:
            (temporary / "probe.svg").write_text(facets.heat_map(dataset.config.name), encoding="utf-8")
        (temporary / "README.md").write_text(model_card(experiment, metrics, folder), encoding="utf-8")
    return metrics


def _summary(found: Mapping[int, Evaluation]) -> dict[str, Any]:
    """What `metrics.json` has of several seeds: mean, standard deviation and values of every metric."""
    parts = {part: over_seeds([one.metrics[part] for one in found.values()]) for part in PARTS}
    return {"seeds": list(found), **parts}


def _trained_facets(experiment: Experiment, dataset: Dataset) -> list[list[str]]:
    if not experiment.text.epochs:
        return []
    from fame.text.pretrain import trained_facets

    heads, _ = experiment.model.item_blocks()
    return trained_facets(experiment.text, heads, dataset.items, dataset.facets)


def _disentanglement(experiment: Experiment, dataset: Dataset, weights: dict[str, Tensor]) -> Disentanglement | None:
    """Of the heads' item vectors after training; None for a model that did not start from text."""
    if not experiment.text.enabled:
        return None
    from fame.text.disentanglement import measure

    heads, _ = experiment.model.item_blocks()
    with torch.no_grad():
        table_VD = build_model(experiment, dataset.sequences.item_count, weights).item_facets()
    return measure(experiment.text, dataset, table_VD, heads)


def load_model(folder: Path) -> ExportedModel:
    """Read an exported folder. Raises `UserError` if it is not one, or is damaged."""
    if not (folder / "model.safetensors").is_file():
        raise UserError(
            f"{folder} holds no exported model (no model.safetensors); give the folder that a training wrote"
        )
    try:
        experiment = read_experiment(folder / "config.yaml")
    except UserError as error:
        raise UserError(f"{folder / 'config.yaml'} is missing or damaged ({error}); export the model again") from None
    weights, header = load_checkpoint(folder / "model.safetensors")
    catalogue = load_catalogue(folder)
    written = {"model": experiment.model.name, "item_count": len(catalogue.ids)}
    written["max_length"] = experiment.data.max_length
    for key, value in written.items():
        if header.get(key) != value:
            raise UserError(
                f"{folder / 'model.safetensors'} has {key} {header.get(key)}, but the files beside it say {value}; "
                "export the model again"
            )
    try:
        model = build_model(experiment, len(catalogue.ids), weights)
    except RuntimeError:  # of `load_state_dict`
        raise UserError(
            f"{folder / 'model.safetensors'} does not fit the model in {folder / 'config.yaml'}; export the model again"
        ) from None
    facets = tuple(map(tuple, header.get("facets", ())))
    return ExportedModel(model=model, experiment=experiment, catalogue=catalogue, facets=facets)


def load_catalogue(folder: Path) -> Catalogue:
    """The catalogue of an exported folder. Raises `UserError` if it is missing or damaged."""
    try:
        catalogue = Catalogue(**json.loads((folder / "items.json").read_text(encoding="utf-8")))
        if not len(catalogue.ids) == len(catalogue.titles) == len(catalogue.counts):
            raise ValueError("its lists are not equally long")
        for key, kinds in {"ids": (int, str), "titles": (str,), "counts": (int,)}.items():
            if any(type(value) not in kinds for value in getattr(catalogue, key)):
                raise TypeError(f"{key} are of another kind")
        # They are shown: a title from somebody else must not steer the terminal.
        return dataclasses.replace(catalogue, titles=[printable(title) for title in catalogue.titles])
    except (OSError, ValueError, TypeError) as error:
        raise UserError(f"{folder / 'items.json'} is missing or damaged ({error}); export the model again") from None


def printable(text: str) -> str:
    """`text` with a space for every character that is not shown."""
    return text if text.isprintable() else "".join(c if c.isprintable() else " " for c in text)


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Turn a failure to write into one line about the folder."""
    try:
        yield
    except OSError as error:
        raise UserError(
            f"cannot write {folder}: {error.strerror or error}; free space or choose another folder"
        ) from error


@contextmanager
def _replacing(folder: Path) -> Iterator[Path]:
    """A temporary folder that takes the place of `folder` when the block ends without an error.

    What a killed process left behind is removed, so only one may write a folder at a time.
    """
    if folder.exists() and not folder.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
    folder.parent.mkdir(parents=True, exist_ok=True)
    prefix = f".{folder.name}.export-"
    for stale in folder.parent.glob(glob.escape(prefix) + "*"):
        shutil.rmtree(stale, ignore_errors=True)
    temporary = Path(tempfile.mkdtemp(prefix=prefix, dir=folder.parent))
    old = temporary.with_name(temporary.name + ".old")
    try:
        temporary.chmod(0o755)
        yield temporary
        if folder.exists():
            os.replace(folder, old)
        try:
            os.replace(temporary, folder)
        except BaseException:
            if old.exists():
                os.replace(old, folder)
            raise
    finally:
        for left in (temporary, old):
            shutil.rmtree(left, ignore_errors=True)


def resolve(experiment: Experiment, dataset: Dataset, device: torch.device, threads: int) -> Experiment:
    """The experiment with everything written out that the data or the machine decide.

    A resolved experiment repeats elsewhere: preparation and fingerprint of the data, the dtype that
    `train.precision: auto` stands for, where the text encoder lies, the number of threads.
    """
    from fame.loss import product_dtype
    from fame.text.encoder import absolute_encoder

    precision = str(product_dtype(experiment.train.precision, device)).removeprefix("torch.")
    data = dataclasses.replace(dataset.config, max_length=experiment.data.max_length)
    return dataclasses.replace(
        experiment,
        data=data,
        text=dataclasses.replace(experiment.text, encoder=absolute_encoder(experiment.text.encoder)),
        train=dataclasses.replace(experiment.train, precision=precision, threads=threads),
    )
