"""Train one configuration without Ray: `python -m fame.train --config FILE`.

Writes the same files as a trial of a sweep. While it trains, it writes the checkpoint, from which the same command goes
on. At the end it exports the model. `--seeds K` repeats the training with K seeds.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fame.command_line import CommandParser, typed
from fame.config import Experiment, require
from fame.config.paths import found_beside
from fame.config.tree import apply_overrides, experiment_from_dict, read_yaml, set_key
from fame.datasets.options import add_data_options, data_settings
from fame.errors import UserError, run_command
from fame.evaluation.seeds import mean_sd, over_seeds
from fame.runtime.files import writing

if TYPE_CHECKING:
    from fame.artifacts import LocalFolder
    from fame.datasets import Dataset
    from fame.runtime.parallel import Workers
    from fame.training.earlier import Earlier


def main() -> None:
    args = parser().parse_args()
    if args.seeds < 1:
        raise UserError(f"--seeds {args.seeds}: must be at least 1")
    from fame.artifacts import LocalFolder  # here and below, so that --help need not wait
    from fame.datasets import load_dataset
    from fame.datasets.dataset import dropped, roles
    from fame.library.fitting import earlier_model, prepared
    from fame.runtime.parallel import Workers
    from fame.training.kernels import paths

    experiment = read_settings(args, args.start is not None)
    dataset = load_dataset(experiment.data)
    workers = Workers.current()
    chosen = paths(experiment.train, workers.device)
    experiment = prepared(experiment, dataset, workers)
    earlier = earlier_model(args.start, experiment, dataset) if args.start is not None else None
    output = args.output or Path("runs/train") / _name(experiment, earlier)
    where = _where(workers, experiment.train.threads)
    print(f"{experiment.model.name} on {dataset.config.name}: {_size(dataset)}; {where}; → {output}")
    for line in filter(None, (roles(dataset, experiment.text.facets), dropped(dataset.statistics))):
        print(f"data: {line}")
    for part, path in chosen.items():
        print(f"{part}: {path}")
    if earlier is not None:
        known, new = earlier.to_dict()["known_items"], earlier.to_dict()["new_items"]
        print(f"from {args.start}: {known:,} items known, {new:,} new")
    shared = None
    if args.stages is not None:
        with writing(args.stages):
            shared = LocalFolder(args.stages)
    results = []
    for seed in range(experiment.seed, experiment.seed + args.seeds):
        folder = output if args.seeds == 1 else output / f"seed-{seed}"
        seeded = dataclasses.replace(experiment, seed=seed)
        results.append(train_one(seeded, dataset, folder, shared, args.refit, earlier))
    if args.seeds > 1:
        _write_summary(output, results, experiment.epoch_metrics)


def read_settings(args: argparse.Namespace, newer_data: bool = False) -> Experiment:
    """The experiment that the command line asks for: file, then data options, then `--set`.

    `newer_data`: the file is of an earlier model, whose length stays.
    """
    tree = (read_yaml(args.config) if args.config else None) or {}
    if not isinstance(tree, dict):
        raise UserError(f"{args.config}: must hold sections such as data, model and train")
    if args.config:
        tree = found_beside(tree, args.config.parent)
    given, section = data_settings(args), tree.get("data") or {}
    require(isinstance(section, dict), "data", section, "must be a mapping")
    named = given.get("data.name")
    if named is not None and named != section.get("name", named):
        # Another dataset: nothing of the preparation or fingerprint applies. An earlier model keeps its length.
        section = {key: section[key] for key in ("max_length",) if newer_data and key in section}
    if newer_data:
        section = {key: value for key, value in section.items() if key != "fingerprint"}
    tree["data"] = section
    for key, value in given.items():
        set_key(tree, key, value)
    return experiment_from_dict(apply_overrides(tree, args.set))


def train_one(
    experiment: Experiment,
    dataset: Dataset,
    folder: Path,
    shared: LocalFolder | None = None,
    refit: bool = False,
    earlier: Earlier | None = None,
) -> dict[str, Any]:
    """Train (or go on training) in a folder and export the best epoch there; returns its metrics.

    Stages that other trainings need, too, are taken from `shared`, and kept there.
    """
    from fame.library.fitting import train
    from fame.library.progress import Lines
    from fame.training.fit import CHECKPOINT
    from fame.training.shared_stages import read_uses

    if (folder / CHECKPOINT).exists():
        _print_earlier(experiment, folder)
    model = train(experiment, dataset, folder, Lines(), shared, refit, earlier)
    for use in read_uses(folder):
        if use.shared:
            print(f"{use.stage}: taken over, {use.seconds:.1f} s of training saved")
    metrics, name = model.metrics, experiment.train.metric
    print(
        f"seed {experiment.seed}: best epoch {metrics['best_epoch']} of {metrics['epochs']}, "
        f"{name} validation {metrics['validation'][name]:.6f}, test {metrics['test'][name]:.6f}; → {model.folder}"
    )
    if refit:
        found = metrics["refit"]
        print(
            f"seed {experiment.seed}: trained once more on all {found['interactions']:,} interactions in {found['train_seconds']:.1f} s; "
            "the metrics are those of the model before"
        )
    return metrics


def _print_earlier(experiment: Experiment, folder: Path) -> None:
    from fame.training.fit import experiment_key, read_trained

    earlier = read_trained(folder)
    if experiment_key(earlier.experiment) == experiment_key(experiment):  # else `fit` says what is wrong
        last = earlier.history[-1]
        what = "is finished already" if last.finished else f"goes on after epoch {last.epoch}"
        print(f"seed {experiment.seed}: the training in {folder} {what}")


def _write_summary(output: Path, results: list[dict[str, Any]], names: Sequence[str]) -> None:
    summary: dict[str, Any] = {
        "seeds": [result["seed"] for result in results],
        **{part: over_seeds([result[part] for result in results]) for part in ("validation", "test")},
    }
    with writing(output):
        (output / "seeds.json").write_text(json.dumps(summary, indent=1) + "\n", encoding="utf-8")
    for part in ("validation", "test"):
        cells = "  ".join(f"{name} {mean_sd(summary[part][name])}" for name in names)
        print(f"{len(results)} seeds, {part}: {cells}")


def parser() -> argparse.ArgumentParser:
    parser = CommandParser(prog=typed(), description=__doc__)
    parser.add_argument("--config", type=Path, help="YAML of an experiment (default: every setting's default)")
    add_data_options(parser)
    parser.add_argument("--set", action="append", default=[], metavar="SECTION.KEY=VALUE", help="change one setting")
    parser.add_argument("--seeds", type=int, default=1, metavar="K", help="train with K seeds (default: 1)")
    parser.add_argument(
        "--refit",
        action="store_true",
        help="then train once more on everything, for the best number of epochs, and export that",
    )
    parser.add_argument(
        "--from", dest="start", type=Path, metavar="MODEL", help="exported model to go on from, such as best/"
    )
    parser.add_argument("--output", type=Path, help="folder for checkpoint and model (default: under runs/train/)")
    parser.add_argument(
        "--stages", type=Path, metavar="DIR", help="folder to share pre-trained backbones in (default: none is shared)"
    )
    return parser


def _name(experiment: Experiment, earlier: Earlier | None = None) -> str:
    from fame.training.fit import experiment_key

    origin = f"-from-{earlier.digest[:8]}" if earlier is not None else ""
    data = experiment.data.name.replace("/", "_").lstrip(".")
    return f"{data}-{experiment.model.name}-{experiment_key(experiment)[:8]}{origin}"


def _size(dataset: Dataset) -> str:
    s = dataset.statistics
    return f"{s['users']:,} users, {s['items']:,} items, {s['actions']:,} interactions"


def _where(workers: Workers, threads: int) -> str:
    return str(workers.device) if workers.device.type != "cpu" else f"cpu, {threads} threads"


if __name__ == "__main__":
    run_command(main)
