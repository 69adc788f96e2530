"""Trained models as their folders have them: metrics over seeds, configuration, what the search took, ranks of users.

A model is the folder of a sweep, of `python -m fame.train --seeds K`, or an exported one of either.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from benchmarks.harness import without_folders
from fame.config import Experiment
from fame.config_tree import read_experiment, read_yaml, to_dict
from fame.datasets import Dataset
from fame.errors import UserError
from fame.export import evaluate_weights, load_model
from fame.parallel import Workers
from fame.ranks import RANKS, Ranks
from fame.seeds import over_seeds
from fame.sequences import PARTS, Part


@dataclass(frozen=True, kw_only=True)
class TrainedModel:
    """One configuration, trained with one seed or more."""

    label: str
    folders: tuple[Path, ...]
    """Exported models, one for each training; a sweep's has several seeds in one folder."""

    @classmethod
    def parse(cls, text: str) -> TrainedModel:
        """From ``LABEL=FOLDER``. Raises `UserError` if no model is there."""
        label, equals, name = text.partition("=")
        if not (label and equals and name):
            raise UserError(f"{text}: must be LABEL=FOLDER, such as SASRec=runs/beauty-sasrec")
        folder = Path(name)
        exported = [folder, *sorted(folder.glob("seed-*/best")), folder / "best"]
        folders = [one for one in exported if (one / "metrics.json").is_file()]
        if not folders:
            raise UserError(f"{folder} has no exported model: neither metrics.json, best/ nor seed-*/best/ is there")
        # A folder that is itself one, or that of a sweep, is alone; seeds come together.
        several = [one for one in folders if one.parent.name.startswith("seed-")]
        return cls(label=label, folders=tuple(several or folders[:1]))

    @cached_property
    def experiment(self) -> Experiment:
        return read_experiment(self.folders[0] / "config.yaml")

    @cached_property
    def metrics(self) -> list[dict[str, Any]]:
        return [json.loads((folder / "metrics.json").read_text(encoding="utf-8")) for folder in self.folders]

    @property
    def dataset(self) -> dict[str, Any]:
        return self.metrics[0]["dataset"]

    @cached_property
    def ranks(self) -> Ranks:
        """Of all seeds together. Raises `UserError` if the folders hold models of several configurations or data."""
        found = [Ranks.read(folder / RANKS) for folder in self.folders]
        by_seed = {seed: parts for one in found for seed, parts in one.by_seed.items()}
        same = {(one.fingerprint, json.dumps(one.rules, sort_keys=True)) for one in found}
        if len(same) > 1:
            raise UserError(
                f"{self.label}: {', '.join(map(str, self.folders))} were evaluated on different data or rules"
            )
        return Ranks(fingerprint=found[0].fingerprint, rules=found[0].rules, by_seed=by_seed)

    def over_seeds(self) -> dict[str, Any]:
        """Seeds, and mean, standard deviation and values of every metric in validation and test."""
        if len(self.metrics) == 1 and "seeds" in self.metrics[0]:
            return self.metrics[0]["seeds"]
        parts = {part: over_seeds([one[part] for one in self.metrics]) for part in PARTS}
        return {"seeds": [one["seed"] for one in self.metrics], **parts}

    def with_history_kept(self, dataset: Dataset) -> dict[Part, dict[str, Any]]:
        """The same with the items of the history among those that are ranked, of the models that are there."""
        found = []
        for folder in self.folders:
            exported = load_model(folder)
            evaluate = dataclasses.replace(exported.experiment.evaluate, exclude_seen=False)
            settings = dataclasses.replace(exported.experiment, evaluate=evaluate)
            weights = exported.model.state_dict()
            found.append(evaluate_weights(settings, dataset, weights, Workers(device=torch.device("cpu"))).metrics)
        return {part: over_seeds([one[part] for one in found]) for part in PARTS}

    def budget(self) -> dict[str, Any]:
        """What the sweep was allowed that chose the configuration; empty for a training by itself."""
        path = self.folders[0].parent / "sweep.yaml"
        if not path.is_file():
            return {}
        options = read_yaml(path)["options"]
        return {key: options[key] for key in ("trials", "epochs", "sampler", "scheduler", "set")}

    def configuration(self) -> dict[str, Any]:
        """The experiment as a tree, without where the data lie on this machine."""
        tree = to_dict(self.experiment)
        tree["data"]["dir"] = None
        return tree

    def to_dict(self) -> dict[str, Any]:
        origin = self.metrics[0]["provenance"]
        return {
            "label": self.label,
            "model": self.experiment.model.name,
            **self.over_seeds(),
            "best_epochs": [one["best_epoch"] for one in self.metrics],
            "train_seconds": [round(one["train_seconds"], 1) for one in self.metrics],
            "budget": self.budget(),
            "trained": {key: without_folders(origin[key]) for key in ("command", "commit", "date") if key in origin},
            "configuration": self.configuration(),
        }
