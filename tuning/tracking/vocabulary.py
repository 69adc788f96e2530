"""The metrics and parameters in MLflow: the same for a sweep, its trials and registered models.

MLflow's pages make a section of everything before the slash.

    validation/ndcg_10, test/ndcg_10    metrics of rankings and of the lists that users get
    best/ndcg_10, best/epoch            the best epoch so far
    train/loss, train/padding           training
    time/train_seconds, …               seconds and speed
    stage/backbone_seconds_saved, …     shared stages
    sanity/popularity_test_ndcg_10, …   models that count
    system/cpu_utilization_percentage   the driver's machine; MLflow gives these names
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from fame.config import Experiment
from fame.config.tree import flatten, to_dict
from fame.datasets.sequences import PARTS
from fame.evaluation.seeds import measured

if TYPE_CHECKING:
    from mlflow.entities import Metric
    from mlflow.tracking import MlflowClient

NAME_LENGTH = 250
"""MLflow's limit (`mlflow.utils.validation`)."""
SECTIONS = {
    "loss": "train",
    "padding": "train",
    "train_seconds": "time",
    "evaluate_seconds": "time",
    "items_per_second": "time",
    "standard_error": "validation",
}
"""The section of a report's number, if its name does not say it."""


def metric_name(name: str) -> str:
    """Return the name in MLflow of a report's number, or of a metric of a part: ``test/ndcg@10`` is ``test/ndcg_10``."""
    section, _, rest = name.partition("_")
    if "/" in name:
        found = name
    elif section in ("best", "stage") and rest:
        found = f"{section}/{rest}"
    elif name in SECTIONS:
        found = f"{SECTIONS[name]}/{name}"
    else:
        found = f"validation/{name}" if "@" in name else name
    return valid_name(found.replace("@", "_"))


def valid_name(name: str) -> str:
    """Return a name as MLflow takes it, for a parameter or tag too: ``ndcg@10`` is ``ndcg_at_10``.

    MLflow takes letters, digits, ``_ - . : /`` and spaces; anything else becomes ``_``.
    """
    return re.sub(r"[^\w\-.:/ ]", "_", name.replace("@", "_at_"))[:NAME_LENGTH]


def history(client: MlflowClient, run_id: str, name: str) -> Sequence[Metric]:
    """Return the points of a report's number. Runs of earlier versions have it under a name without a section."""
    return client.get_metric_history(run_id, metric_name(name)) or client.get_metric_history(run_id, valid_name(name))


def latest(metrics: Mapping[str, float], name: str) -> float | None:
    """Return a run's latest value of a number, as `history` finds it."""
    return metrics.get(metric_name(name), metrics.get(valid_name(name)))


def settings(experiment: Experiment, searched: Iterable[str] = ()) -> dict[str, Any]:
    """Return all settings of a training, the model's name first.

    Settings that are not set are left out. So are those of the data's place and preparation that are not searched.
    """
    own = {"data.max_length", *searched}
    values = {key: value for key, value in flatten(to_dict(experiment)).items() if value is not None}
    others = {key: value for key, value in values.items() if not key.startswith("data.") or key in own}
    return {"model.name": others.pop("model.name"), **others}


def exported_metrics(exported: Mapping[str, Any]) -> dict[str, float]:
    """Return the metrics of an exported model by their names in MLflow, given its `metrics.json`."""
    parts = {part: measured(exported, part) for part in PARTS}
    found = {f"{part}/{name}": float(value) for part, by_name in parts.items() for name, value in by_name.items()}
    for part, by_name in exported.get("seeds", {}).items():
        if part in PARTS:
            found |= {f"{part}/{name}_{what}": one[what] for name, one in by_name.items() for what in ("mean", "sd")}
    metric = exported["metric"]
    found |= {f"best/{metric}": float(exported["validation"][metric]), "best/epoch": float(exported["best_epoch"])}
    found["time/train_seconds"] = float(exported["train_seconds"])
    return {metric_name(name): value for name, value in found.items()}
