"""Evaluate an exported model, on its own data or on other data: `python -m fame.evaluate --model DIR --data FILE`.

The test items of every user are ranked: the last one, or what --split says. Other data are not filtered by the number of
interactions. Items that the model does not know are left out of histories; as test items they count as not found.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING

from fame.command_line import CommandParser, typed
from fame.config import Experiment
from fame.config.tree import apply_overrides, experiment_from_dict, set_key, to_dict
from fame.datasets.options import add_data_options, data_settings
from fame.errors import UserError, run_command
from fame.runtime.files import writing

if TYPE_CHECKING:
    from fame.datasets import Dataset
    from fame.serving.other_data import OtherDataResult

SETTABLE = ("data", "evaluate")
"""Sections that --set may change: the others belong to the weights."""
KEPT = ("min_rating", "repeats", "max_length")
"""Settings of the model's data that other data are prepared with, too."""


def main() -> None:
    args = parser().parse_args()
    from fame.datasets import load_dataset  # here, so that --help need not wait
    from fame.serving.exported import EVALUATED, load_model
    from fame.serving.other_data import evaluate_on

    exported = load_model(args.model)
    experiment = _settings(exported.experiment, args)
    dataset = load_dataset(experiment.data)
    if dataset.fingerprint == exported.experiment.data.fingerprint and (args.model / EVALUATED).is_file():
        exported = load_model(args.model, EVALUATED)  # the others have seen the test items
    began = time.perf_counter()
    found = evaluate_on(exported, dataset, experiment)
    seconds = time.perf_counter() - began
    print(f"{experiment.model.name} from {args.model} on {dataset!r}")
    _print(found, experiment)
    print(f"{found.users:,} users in {seconds:.1f} s")
    if args.output is not None:
        _write(args.output, args.model, dataset, found)
        print(f"→ {args.output}")


def _settings(own: Experiment, args: argparse.Namespace) -> Experiment:
    """The model's experiment on the data, and by the rules, that the options name."""
    for text in args.set:
        section = text.partition(".")[0]
        if section not in SETTABLE:
            raise UserError(f"--set {text}: the weights are trained; only data.* and evaluate.* can be set here")
    tree, given = to_dict(own), data_settings(args)
    if "data.path" in given or given.get("data.name", own.data.name) != own.data.name:
        whole = {"recipe": "as-given"} if "data.path" in given else {"core": 1}
        last = {"by": "last", "validation": 0, "test": 1}
        tree["data"] = {key: tree["data"][key] for key in KEPT} | whole | {"split": last}
    for key, value in given.items():
        set_key(tree, key, value)
    return experiment_from_dict(apply_overrides(tree, args.set))


def _print(found: OtherDataResult, experiment: Experiment) -> None:
    if found.without_history:
        asked = found.users + found.without_history
        new = " (or no test item that occurs before them)" if experiment.evaluate.candidates == "known" else ""
        print(f"{found.without_history:,} of {asked:,} users have no known item before their test items{new}: left out")
    if found.unknown_targets:
        share = found.unknown_targets / found.targets
        print(
            f"{found.unknown_targets:,} of {found.targets:,} test items ({share:.1%}) are unknown to the model: not found"
        )
    cutoffs, values = experiment.evaluate.cutoffs, found.metrics | found.lists
    print(f"{'test':12}" + "".join(f"{f'@{k}':>12}" for k in cutoffs))
    for kind in dict.fromkeys(name.partition("@")[0] for name in values):
        print(f"{kind:12}" + "".join(f"{values[f'{kind}@{k}']:12.4f}" for k in cutoffs))


def _write(path: Path, model: Path, dataset: Dataset, found: OtherDataResult) -> None:
    from fame.runtime.provenance import provenance

    data = {"name": dataset.config.name, "fingerprint": dataset.fingerprint, "statistics": dict(dataset.statistics)}
    content = {"model": str(model), "dataset": data, **dataclasses.asdict(found), "provenance": provenance()}
    with writing(path):
        path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def parser() -> argparse.ArgumentParser:
    parser = CommandParser(prog=typed(), description=__doc__)
    parser.add_argument("--model", type=Path, required=True, help="folder that a training or a sweep exported")
    add_data_options(parser)
    parser.add_argument(
        "--set", action="append", default=[], metavar="SECTION.KEY=VALUE", help="change a setting of data or evaluate"
    )
    parser.add_argument("--output", type=Path, metavar="FILE", help="also write the results as JSON")
    return parser


if __name__ == "__main__":
    run_command(main)
