"""The dataset of a sweep as MLflow's dataset input: name, digest, schema, source and size."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from fame.datasets import Dataset
from fame.runtime.provenance import mask_credentials

if TYPE_CHECKING:
    from mlflow.entities import DatasetInput

CONTEXT = "training"
"""MLflow's word for the use of the data."""


def dataset_input(dataset: Dataset) -> DatasetInput:
    """Return the input of a run that trains on this dataset. Its digest is the dataset's fingerprint."""
    from mlflow.entities import Dataset as Entity
    from mlflow.entities import DatasetInput, InputTag
    from mlflow.types import ColSpec, DataType, Schema
    from mlflow.utils.mlflow_tags import MLFLOW_DATASET_CONTEXT

    def id_type(kind: str) -> DataType:
        return DataType.long if kind == "i" else DataType.string

    config, counts = dataset.config, dataset.statistics
    columns = [
        ColSpec(id_type(dataset.user_ids.dtype.kind), "user"),
        ColSpec(id_type(dataset.items.ids.dtype.kind), "item"),
        ColSpec(DataType.datetime, "time"),
        *(ColSpec(DataType.string, f"item.{name}", required=False) for name in dataset.items.columns),
    ]
    place = mask_credentials(config.path or dataset.source)
    profile = {"num_rows": counts["actions"], "recipe": dataset.recipe}
    profile |= {key: counts[key] for key in ("users", "items", "longest")}
    profile |= {"average_length": round(counts["average_length"], 2), "density": float(f"{counts['density']:.4g}")}
    entity = Entity(
        name=config.name,
        digest=dataset.fingerprint,
        source_type="http" if place.startswith("http") else "local",
        source=json.dumps({"uri": place, "url": place}),
        schema=json.dumps({"mlflow_colspec": Schema([*columns]).to_dict()}),
        profile=json.dumps(profile),
    )
    return DatasetInput(entity, [InputTag(MLFLOW_DATASET_CONTEXT, CONTEXT)])
