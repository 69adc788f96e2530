"""The folder that a training leaves: a configuration that repeats it and a model that serves.

    config.yaml          the complete experiment; `python -m fame.train --config` repeats it
    model.safetensors    weights of the best epoch, and where new items go by their text, if items started from text
    items.json           ids and titles of the catalogue, popularity in training, columns to filter by
    users.safetensors    what each user has done, to recommend to users without the original data
    metrics.json         validation, test (computed once, here), history, provenance
    ranks.safetensors    rank of every user's held-out item, to compare with other models (`fame.evaluation.ranks`)
    evaluated.safetensors   the weights that were evaluated, where model.safetensors was trained once more on everything
    probe.svg            which head knows which facet, for items that started from text
    README.md            model card

The folder appears whole or not at all.
"""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor

from fame.artifacts.checkpoint import load_checkpoint, save_checkpoint, with_prefix
from fame.config import Experiment
from fame.config.paths import near
from fame.config.tree import read_experiment, to_dict, write_yaml
from fame.datasets import Dataset, Items
from fame.datasets.sequences import PARTS, train_counts
from fame.evaluation.final import Evaluation, evaluate_weights
from fame.evaluation.ranks import RANKS, Ranks, rules
from fame.evaluation.seeds import over_seeds
from fame.index.inverted import INDEX
from fame.models.build import build_model
from fame.runtime.files import replacing, writing
from fame.runtime.parallel import Workers
from fame.runtime.provenance import provenance
from fame.serving.card import model_card
from fame.serving.columns import LONGEST_LABEL
from fame.serving.exported import EVALUATED, TEXT_MAP, WEIGHTS
from fame.serving.histories import USERS, histories_of, write_histories
from fame.text.mapping import TextMap
from fame.text.start import text_blocks
from fame.training.fit import Trained
from fame.training.refit import Refit, everything

if TYPE_CHECKING:
    from fame.text.disentanglement import Disentanglement


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
    text_map = _text_map(experiment, dataset, weights)
    last = trained.history[-1]
    metrics: dict[str, Any] = {
        "metric": experiment.train.metric,
        **cast(dict[str, Any], ours.metrics),
        "lists": ours.lists,
        "by_frequency": ours.by_frequency,
        **({"seeds": _summary(found)} if repeats else {}),
        "best_epoch": last.best_epoch,
        "epochs": last.epoch,
        "seed": experiment.seed,
        "train_seconds": sum(report.train_seconds for report in trained.history),
        "dataset": {
            "name": dataset.config.name,
            "recipe": dataset.recipe,
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
    catalogue = {"ids": items.ids.tolist(), "titles": titles, "counts": counts, "columns": _short_columns(items)}
    header = {"model": experiment.model.name, "item_count": len(items), "max_length": experiment.data.max_length}
    header["facets"] = metrics.get("facets", [])
    ranks = Ranks(
        fingerprint=dataset.fingerprint,
        rules=rules(experiment),
        by_seed={seed: one.ranks for seed, one in found.items()},
        counts=ours.counts,
    )
    with writing(folder), replacing(folder) as temporary:
        (temporary / "config.yaml").write_text(write_yaml(near(to_dict(experiment), folder)), encoding="utf-8")
        save_checkpoint(temporary / WEIGHTS, weights | text_map, header)
        ranks.write(temporary / RANKS)
        (temporary / "items.json").write_text(json.dumps(catalogue, ensure_ascii=False), encoding="utf-8")
        write_histories(temporary / USERS, histories_of(dataset))
        (temporary / "metrics.json").write_text(json.dumps(metrics, indent=1) + "\n", encoding="utf-8")
        if facets:
            (temporary / "probe.svg").write_text(facets.heat_map(dataset.config.name), encoding="utf-8")
        (temporary / "README.md").write_text(model_card(experiment, metrics), encoding="utf-8")
    return metrics


def export_refit(folder: Path, refit: Refit, dataset: Dataset) -> dict[str, Any]:
    """Put weights that were trained on everything into an exported folder, beside those that were evaluated.

    Metrics, ranks and the experiment stay; the card says so. Returns what `metrics.json` holds. Raises `UserError` if
    the folder cannot be written.
    """
    experiment = read_experiment(folder / "config.yaml")
    text_map = _text_map(experiment, dataset, refit.weights)
    with writing(folder), replacing(folder) as temporary:
        shutil.copytree(folder, temporary, dirs_exist_ok=True)
        (temporary / INDEX).unlink(missing_ok=True)
        os.replace(temporary / WEIGHTS, temporary / EVALUATED)
        _, header = load_checkpoint(temporary / EVALUATED)
        save_checkpoint(temporary / WEIGHTS, refit.weights | text_map, header)
        catalogue = json.loads((temporary / "items.json").read_text(encoding="utf-8"))
        catalogue["counts"] = train_counts(everything(dataset.sequences))[1:].tolist()
        (temporary / "items.json").write_text(json.dumps(catalogue, ensure_ascii=False), encoding="utf-8")
        metrics = json.loads((temporary / "metrics.json").read_text(encoding="utf-8")) | {"refit": refit.to_dict()}
        (temporary / "metrics.json").write_text(json.dumps(metrics, indent=1) + "\n", encoding="utf-8")
        (temporary / "README.md").write_text(model_card(experiment, metrics), encoding="utf-8")
    return cast(dict[str, Any], metrics)


def _short_columns(items: Items) -> dict[str, list[str]]:
    """The columns that a filter may ask for."""
    columns = {name: list(texts) for name, texts in items.columns.items() if name != "title"}
    return {name: texts for name, texts in columns.items() if max(map(len, texts), default=0) <= LONGEST_LABEL}


def _summary(found: Mapping[int, Evaluation]) -> dict[str, Any]:
    """Return the entry of several seeds in `metrics.json`: mean, standard deviation and values of every metric."""
    parts: dict[str, Any] = {part: over_seeds([one.metrics[part] for one in found.values()]) for part in PARTS}
    return {"seeds": list(found), **parts}


def _trained_facets(experiment: Experiment, dataset: Dataset) -> list[list[str]]:
    if not experiment.text.epochs:
        return []
    from fame.text.pretrain import trained_facets

    heads, _ = text_blocks(experiment)
    return trained_facets(experiment.text, heads, dataset.items, dataset.facets)


def _disentanglement(experiment: Experiment, dataset: Dataset, weights: dict[str, Tensor]) -> Disentanglement | None:
    """Measure the heads' item vectors after training. Return None for a model that did not start from text."""
    if not experiment.text.enabled:
        return None
    from fame.text.disentanglement import measure

    heads, _ = text_blocks(experiment)
    with torch.no_grad():
        table_VD = build_model(experiment, dataset.sequences.item_count, weights).item_facets()
    return measure(experiment.text, dataset, table_VD, heads)


def _text_map(experiment: Experiment, dataset: Dataset, weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """The weights that place new items by their text; none for a model that did not start from text."""
    if not experiment.text.enabled:
        return {}
    from fame.text.pretrain import text_vectors_of

    known, e_NE = text_vectors_of(experiment.text, dataset.items, torch.device("cpu"), lambda line: None)
    with torch.no_grad():
        table_VD = build_model(experiment, dataset.sequences.item_count, weights).item_table()
    return with_prefix(TEXT_MAP, TextMap.fit(e_NE, table_VD[known]).tensors)
