"""Trained models beside each other and beside what is published: `python -m benchmarks.quality NAME LABEL=FOLDER …`.

A LABEL alone is the row that the result NAME already has: models can be added to a table, or replaced in it, one by one.

Reads exported models (of `tuning/sweep.py`, or of `python -m fame.train --seeds K`), tests on the same users whether they
differ from the reference in test NDCG@10, and writes `benchmarks/results/NAME.json`, from which `python -m benchmarks.page`
makes the tables of `docs/RESULTS.md`. Nothing is trained, and nothing chosen, here.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.harness import RESULTS, origin
from benchmarks.quality.earlier import EarlierModel, read_earlier, write_ranks
from benchmarks.quality.models import TrainedModel
from benchmarks.quality.published import published
from benchmarks.quality.tables import model_lines
from fame.config_tree import write_yaml
from fame.datasets import load_dataset
from fame.errors import UserError, run_command
from tuning.comparison.pairs import compare

Model = TrainedModel | EarlierModel
METRIC = "ndcg@10"
CONFIGS = Path(__file__).parents[2] / "tuning" / "configs" / "best"


def main() -> None:
    args = _parser().parse_args()
    path = RESULTS / f"{args.name}.json"
    models = [TrainedModel.parse(text) if "=" in text else read_earlier(path, text) for text in args.models]
    labels = [model.label for model in models]
    for label in labels:
        if labels.count(label) > 1:
            raise UserError(f"{label} stands for two models; give each its own label")
    reference = args.reference or labels[0]
    if reference not in labels:
        raise UserError(f"--reference {reference}: must be one of {', '.join(labels)}")
    data = models[0].dataset
    check_comparable(models)
    entries = [model.to_dict() for model in models]
    if args.kept:
        config = {**models[0].configuration()["data"], "dir": args.data_dir}
        dataset = load_dataset(type(models[0].experiment.data)(**config))
        for model, entry in zip(models, entries, strict=True):
            if isinstance(model, TrainedModel):
                entry["history_kept"] = model.with_history_kept(dataset)
    add_comparison(models, entries, labels.index(reference))
    for entry in entries:
        value = published(data["name"], entry["model"])
        entry |= {"published": {"value": value[0], "source": value[1]}} if value else {}
    result = {
        "benchmark": args.name,
        "metric": METRIC,
        "dataset": data,
        "reference": reference,
        "models": entries,
        **origin(),
    }
    path.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    write_ranks(path.with_suffix(".npz"), {model.label: model.ranks for model in models})
    if args.configs:
        keep_configurations(models, data["name"])
    print("\n".join(model_lines(result)), flush=True)


def check_comparable(models: Sequence[Model]) -> None:
    """Raise `UserError` if ranks of two were found on different data, or by different rules."""
    known = [(model.label, model.ranks) for model in models if model.ranks is not None]
    for label, ranks in known[1:]:
        first, others = known[0]
        if ranks.rules != others.rules or ranks.fingerprint != others.fingerprint:
            raise UserError(f"{label} and {first} were evaluated on different data, or by different rules")


def add_comparison(models: Sequence[Model], entries: list[dict[str, Any]], reference: int) -> None:
    """Add to every entry but the reference's how its users' test metric differs from the reference's.

    What was found earlier of a row that is kept stands where the reference has the same values, until the ranks of both are known.
    """
    for model, entry in zip(models, entries, strict=True):
        if isinstance(model, EarlierModel) and (earlier := model.against(entries[reference])):
            entry["against_reference"] = earlier
    for pair in compare(models, METRIC, reference):
        found = {key: getattr(pair, key) for key in ("difference", "low", "high", "p", "p_holm")}
        entries[pair.first]["against_reference"] = found


def keep_configurations(models: Sequence[Model], dataset: str) -> None:
    """Write each configuration where a user finds it: `python -m fame.train --config` repeats the training."""
    CONFIGS.mkdir(exist_ok=True)
    for model in models:
        path = CONFIGS / f"{dataset}-{model.label.lower().replace(' ', '-')}.yaml"
        path.write_text(write_yaml(model.configuration()), encoding="utf-8")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.quality", description=__doc__.partition("\n")[0])
    parser.add_argument("name", metavar="NAME", help="of the result")
    parser.add_argument("models", nargs="+", metavar="LABEL[=FOLDER]", help="a model to show, in the table's order")
    parser.add_argument("--reference", metavar="LABEL", help="with which the others are compared (default: the first)")
    parser.add_argument(
        "--kept", action="store_true", help="also rank with the items of the history kept (needs the dataset)"
    )
    parser.add_argument("--data-dir", help="folder with the dataset, for --kept")
    parser.add_argument(
        "--configs", action="store_true", help="also write tuning/configs/best/DATASET-LABEL.yaml of each"
    )
    return parser


if __name__ == "__main__":
    run_command(main)
