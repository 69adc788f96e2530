"""Run the text stage alone: `python -m fame.text --dataset beauty`.

Prints what text and facets there are, and writes a folder:

    text.safetensors   `table_VD`, an item vector per row, and `known_V`, which items have text
    probe.svg          accuracy of every facet from every block of the vectors
    report.json        settings, facets, probe, seconds, provenance
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from fame.checkpoint import save_checkpoint
from fame.config import Experiment, TextConfig
from fame.config_tree import to_dict
from fame.datasets import Dataset, load_dataset
from fame.datasets.options import add_data_options
from fame.errors import UserError, run_command
from fame.export import writing
from fame.provenance import provenance
from fame.text.heatmap import heat_map
from fame.text.pretrain import stage_facets, tasks, text_stage
from fame.text.probe import best_match, probe, purity
from fame.train import read_settings

EPOCHS = 30
"""Epochs of the stage where the settings have none: the command is there to run it."""


def main() -> None:
    args = _parser().parse_args()
    experiment = _with_stage(args)
    dataset = load_dataset(experiment.data)
    output = args.output or Path("runs/text") / dataset.config.name.replace("/", "_").lstrip(".")
    heads, dim = experiment.model.item_blocks()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    print(f"{dataset.config.name}: {len(dataset.items):,} items; {heads} heads of {dim // heads}; {device}; → {output}")
    began = time.perf_counter()
    settings = (experiment.text, heads, dim, dataset.items, dataset.facets, experiment.seed, device)
    stage = text_stage(*settings, print)
    seconds = time.perf_counter() - began
    print(f"stage ready in {seconds:.1f} s")
    with writing(output):
        save_checkpoint(output / "text.safetensors", stage, {"heads": heads, "dim": dim})
        report = {"seconds": seconds, **_probe(experiment.text, heads, dataset, stage["table_VD"], output)}
        report |= {"settings": to_dict(experiment.text), "provenance": provenance()}
        (output / "report.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


def _probe(config: TextConfig, heads: int, dataset: Dataset, table_VD: Tensor, output: Path) -> dict[str, Any]:
    """Probe the result, print and draw it."""
    facets = stage_facets(config, dataset.items, dataset.facets, lambda line: None)
    found = probe(table_VD, heads, facets)
    trained = {task.name: task.head for task in tasks(heads, facets)}
    names = [f"{name} → head {trained[name]}" for name in found.facets]
    columns = [*(f"head {head}" for head in range(heads)), "frequent"]
    rows = [[*row, most] for row, most in zip(found.accuracy, found.frequent, strict=True)]
    print(f"{'linear probe, accuracy':32}" + "".join(f"{name:>10}" for name in columns))
    for name, row in zip(names, rows, strict=True):
        print(f"{name:32}" + "".join(f"{value:10.3f}" for value in row))
    title = f"{dataset.config.name}: facet (row) from block (column)"
    (output / "probe.svg").write_text(heat_map(title, names, columns, rows), encoding="utf-8")
    pure = purity(table_VD, heads, facets)
    result = {"probe": dataclasses.asdict(found), "purity": pure}
    if facets:
        result["best_match_purity"] = best_match(pure)
        print(f"best-match purity {result['best_match_purity']:.3f}; heat map → {output / 'probe.svg'}")
    return result


def _with_stage(args: argparse.Namespace) -> Experiment:
    """The settings of the command line, with the stage switched on."""
    given = [text.partition("=")[0].strip() for text in args.set]
    if "text.epochs" not in given and "text.plain" not in given and args.config is None:
        args.set = [f"text.epochs={EPOCHS}", *args.set]
    experiment = read_settings(args)
    if not experiment.text.enabled:
        raise UserError("text.epochs = 0 switches the text stage off; set text.epochs above 0, or text.plain=true")
    return experiment


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m fame.text", description="Run the text stage alone.")
    parser.add_argument("--config", type=Path, help="YAML of an experiment (default: every setting's default)")
    add_data_options(parser)
    parser.add_argument("--set", action="append", default=[], metavar="SECTION.KEY=VALUE", help="change one setting")
    parser.add_argument("--output", type=Path, help="folder for the result (default: under runs/text/)")
    return parser


if __name__ == "__main__":
    run_command(main)
