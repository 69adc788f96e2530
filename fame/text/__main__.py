"""Run the text stage alone: `python -m fame.text --dataset beauty`.

Prints what text and facets there are, and writes a folder:

    text.safetensors   `table_VD`, an item vector per row, and `known_V`, which items have text
    probe.svg          accuracy of every facet from every block of the vectors
    report.json        settings, probe, purity, seconds, provenance
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

from fame.command_line import CommandParser, typed
from fame.config import Experiment
from fame.config.tree import to_dict
from fame.datasets.options import add_data_options
from fame.errors import UserError, run_command
from fame.runtime.files import writing
from fame.runtime.provenance import provenance
from fame.train import read_settings

EPOCHS = 30
"""Epochs of the stage where the settings have none: the command is there to run it."""


def main() -> None:
    args = parser().parse_args()
    import torch  # here, so that --help need not wait

    from fame.artifacts.checkpoint import save_checkpoint
    from fame.datasets import load_dataset
    from fame.text.disentanglement import measure
    from fame.text.pretrain import text_stage
    from fame.text.start import text_blocks

    experiment = _with_stage(args)
    dataset = load_dataset(experiment.data)
    output = args.output or Path("runs/text") / dataset.config.name.replace("/", "_").lstrip(".")
    heads, dim = text_blocks(experiment)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    print(f"{dataset.config.name}: {len(dataset.items):,} items; {heads} heads of {dim // heads}; {device}; → {output}")
    began = time.perf_counter()
    settings = (experiment.text, heads, dim, dataset.items, dataset.facets, experiment.seed, device)
    stage = text_stage(*settings, print)
    seconds = time.perf_counter() - began
    print(f"stage ready in {seconds:.1f} s")
    found = measure(experiment.text, dataset, stage["table_VD"], heads)
    report: dict[str, Any] = {"seconds": seconds, "settings": to_dict(experiment.text), "provenance": provenance()}
    with writing(output):
        save_checkpoint(output / "text.safetensors", stage, {"heads": heads, "dim": dim})
        if found is not None:
            report |= found.to_dict()
            (output / "probe.svg").write_text(found.heat_map(dataset.config.name), encoding="utf-8")
            print(f"{found}; heat map → {output / 'probe.svg'}")
        (output / "report.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


def _with_stage(args: argparse.Namespace) -> Experiment:
    """The settings of the command line, with the stage switched on."""
    given = [text.partition("=")[0].strip() for text in args.set]
    if "text.epochs" not in given and "text.plain" not in given and args.config is None:
        args.set = [f"text.epochs={EPOCHS}", *args.set]
    experiment = read_settings(args)
    if not experiment.text.enabled:
        raise UserError("text.epochs = 0 switches the text stage off; set text.epochs above 0, or text.plain=true")
    return experiment


def parser() -> argparse.ArgumentParser:
    parser = CommandParser(prog=typed(), description="Run the text stage alone.")
    parser.add_argument("--config", type=Path, help="YAML of an experiment (default: every setting's default)")
    add_data_options(parser)
    parser.add_argument("--set", action="append", default=[], metavar="SECTION.KEY=VALUE", help="change one setting")
    parser.add_argument("--output", type=Path, help="folder for the result (default: under runs/text/)")
    return parser


if __name__ == "__main__":
    run_command(main)
