"""An exported model as a folder for the Hugging Face hub.

    README.md            the model card, with metadata: licence, library, tags, datasets, metrics (`model-index`)
    config.json          name and version of the model, for the hub's page
    config.yaml, model.safetensors, items.json, metrics.json, …    as in the exported folder

What belongs to this machine or to users stays behind: paths of the data, ranks and histories of users.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import fame
from fame.config.paths import bare
from fame.config.tree import to_dict, write_yaml
from fame.runtime.files import replacing, writing
from fame.serving.card import model_card
from fame.serving.exported import load_model

SHARED: tuple[str, ...] = (
    "model.safetensors",
    "items.json",
    "metrics.json",
    "index.safetensors",
    "probe.svg",
    "model.pt2",
    "model.onnx",
    "model.onnx.data",
)
"""Files that are handed on, where they are there."""
LIBRARY = "fame-tuning"
TAGS = ("recommender-system", "sequential-recommendation")
TASK = "sequential-recommendation"


def export_hub(folder: Path, target: Path, licence: str = "other") -> Path:
    """Write a folder for the hub from an exported one, in place of one that is there.

    licence: the hub's name of the licence of the weights (`apache-2.0`, `cc-by-4.0`, …). Raises `UserError` if the folder
    holds no model or the target cannot be written.
    """
    with writing(target), replacing(target) as temporary:
        write_hub_files(folder, temporary, licence)
    return target


def write_hub_files(folder: Path, target: Path, licence: str) -> None:
    """Write the files of `export_hub` to a folder that is there."""
    from huggingface_hub import ModelCard

    experiment = load_model(folder).experiment
    metrics = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    for name in SHARED:
        if (folder / name).is_file():
            shutil.copyfile(folder / name, target / name)
    (target / "config.yaml").write_text(write_yaml(bare(to_dict(experiment))), encoding="utf-8")
    about = {"model_type": experiment.model.name, "library": LIBRARY, "version": fame.__version__}
    (target / "config.json").write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")
    data = card_data(experiment.model.name, metrics, licence)
    card = ModelCard(f"---\n{data.to_yaml()}\n---\n\n{model_card(experiment, metrics)}")
    (target / "README.md").write_text(str(card), encoding="utf-8")


def card_data(model: str, metrics: dict[str, Any], licence: str) -> Any:
    """Return the metadata of the card, huggingface_hub's `ModelCardData`."""
    from huggingface_hub import EvalResult, ModelCardData

    name = metrics["dataset"]["name"]
    results = [
        EvalResult(
            task_type=TASK,
            task_name="Sequential recommendation",
            dataset_type=name,
            dataset_name=name,
            dataset_split=part,
            metric_type=metric,
            metric_name=f"{metric} ({part})",
            metric_value=value,
        )
        for part in ("test", "validation")
        for metric, value in metrics[part].items()
    ]
    return ModelCardData(
        license=licence,
        library_name=LIBRARY,
        tags=[*TAGS, model],
        datasets=[name],
        metrics=list(metrics["test"]),
        model_name=f"{model} on {name}",
        eval_results=results,
    )
