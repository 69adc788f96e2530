"""An exported folder as the model registry has it: tags, metrics and parameters."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from fame.config.tree import read_experiment
from fame.datasets.sequences import PARTS
from fame.errors import UserError
from tuning.plan.options import plain_name
from tuning.tracking.runs import PARAM_LENGTH, texts
from tuning.tracking.vocabulary import exported_metrics, metric_name, settings


@dataclass(frozen=True, kw_only=True)
class Exported:
    """An exported folder as the registry has it."""

    folder: Path
    tags: dict[str, str]
    """Data, rules, origin and the hash of the weights."""
    metrics: dict[str, float]
    params: dict[str, str]

    @property
    def name(self) -> str:
        """The name of the registered model: all models of a dataset are its versions."""
        return plain_name(self.tags["dataset"])

    @classmethod
    def read(cls, folder: Path, users: bool = False) -> Exported:
        """Read a folder. Raises `UserError` if it holds no exported model, or not the users that are wanted."""
        from fame.evaluation.ranks import rules
        from fame.serving.histories import USERS

        if users and not (folder / USERS).exists():
            raise UserError(f"--users: {folder} has no {USERS}; export the model again, or leave --users out")
        try:
            metrics = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
            experiment = read_experiment(folder / "config.yaml")
            data = metrics["dataset"]
            tags = {
                "dataset": data["name"],
                "fingerprint": data["fingerprint"],
                "rules": json.dumps(rules(experiment)),
                "model": experiment.model.name,
                "metric": metrics["metric"],
                "seed": str(metrics["seed"]),
                "weights": hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest(),
                **{key: metrics[key] for key in ("sweep", "trial") if key in metrics},
                **({"users": "yes"} if users else {}),
                **({"trained_weights": metrics["new_items"]["weights"]} if "new_items" in metrics else {}),
            }
            found, params = exported_metrics(metrics), texts(settings(experiment), PARAM_LENGTH)
            return cls(folder=folder, tags=tags, metrics=found, params=params)
        except (OSError, ValueError, KeyError, TypeError) as error:
            reason = f"{type(error).__name__}: {error}"
            raise UserError(f"{folder} holds no exported model that can be registered ({reason})") from None

    def __str__(self) -> str:
        metric, tags = self.tags["metric"], self.tags
        values = ", ".join(f"{part} {self.metrics[metric_name(f'{part}/{metric}')]:.4f}" for part in PARTS)
        origin = f" of sweep {tags['sweep']}, trial {tags['trial']}" if "sweep" in tags else ""
        return f"{tags['model']}{origin}: {metric} {values}"
