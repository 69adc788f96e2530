"""Trains the rows of the quality tables: `python -m benchmarks.quality.train --data-dir DIR --folder DIR [ROW …]`.

Seed after seed, row after row, on one thread. A seed that has a result with the same settings is skipped, and a
training that was stopped goes on from its checkpoint under `--folder`. Rows that need the same backbone share it. Each
seed's result is written as soon as it is there (`benchmarks.quality.seeds`); `python -m benchmarks.quality` makes the tables from them.
"""

from __future__ import annotations

import argparse
import dataclasses
import fcntl
from pathlib import Path

import torch

from benchmarks.harness import origin
from benchmarks.quality.rows import FILE, Row, chosen, read_rows
from benchmarks.quality.seeds import FOLDER, path_of, read, write
from fame.artifacts import LocalFolder
from fame.config import Experiment
from fame.config.tree import to_dict
from fame.datasets import Dataset, load_dataset
from fame.datasets.sequences import PARTS
from fame.errors import run_command
from fame.evaluation.final import evaluate_weights
from fame.evaluation.ranks import RANKS, Ranks
from fame.runtime.parallel import Workers
from fame.serving.exported import load_model
from fame.train import train_one
from fame.training.fit import experiment_key
from fame.training.resolve import resolve


def main() -> None:
    args = _parser().parse_args()
    torch.set_num_threads(1)
    rows = list(chosen(read_rows(args.file), args.rows))
    for seed in range(args.seeds):
        for row in rows:
            train(row, seed, args.folder, args.data_dir, args.results)


def train(row: Row, seed: int, folder: Path, data_dir: str | None, results: Path = FOLDER) -> None:
    """Train a row with one seed, unless its result is there, or another process is at it."""
    experiment = row.experiment(seed, data_dir)
    dataset = load_dataset(experiment.data)
    experiment = resolve(experiment, dataset, torch.device("cpu"), threads=1)
    path, key = path_of(row, seed, results), key_of(experiment)
    where = folder / row.dataset / f"{row.name}-{key[:8]}" / f"seed-{seed}"
    if path.is_file() and key_of(read(path).experiment) == key:
        print(f"{row.dataset} {row.name} seed {seed}: has its result in {path.name}", flush=True)
        return
    where.mkdir(parents=True, exist_ok=True)
    with (where / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"{row.dataset} {row.name} seed {seed}: another process trains it", flush=True)
            return
        print(f"{row.dataset} {row.name} seed {seed}: → {where}", flush=True)
        train_and_keep(row, experiment, dataset, where, path, LocalFolder(folder / "stages"))


def key_of(experiment: Experiment) -> str:
    """Hash of all that decides the result but the precision of the loss's products, which the machine chooses."""
    return experiment_key(
        dataclasses.replace(experiment, train=dataclasses.replace(experiment.train, precision="auto"))
    )


def train_and_keep(
    row: Row, experiment: Experiment, dataset: Dataset, where: Path, path: Path, shared: LocalFolder
) -> None:
    """Train in `where`, with the stages that are in `shared`, and write the result to `path`."""
    metrics = train_one(experiment, dataset, where, shared)
    configuration = to_dict(experiment)
    configuration["data"]["dir"] = None
    content = {
        "dataset": row.dataset,
        "row": row.name,
        "label": row.label,
        "model": experiment.model.name,
        "seed": experiment.seed,
        **{part: metrics[part] for part in PARTS},
        "history_kept": history_kept(where / "best", dataset),
        "best_epoch": metrics["best_epoch"],
        "epochs": metrics["epochs"],
        "train_seconds": round(metrics["train_seconds"], 1),
        "data": metrics["dataset"],
        "configuration": configuration,
        **origin(),
    }
    write(path, content, Ranks.read(where / "best" / RANKS))


def history_kept(folder: Path, dataset: Dataset) -> dict[str, dict[str, float]]:
    """Metrics of an exported model with the items of the history kept in the ranking."""
    exported = load_model(folder)
    evaluate = dataclasses.replace(exported.experiment.evaluate, exclude_seen=False)
    settings = dataclasses.replace(exported.experiment, evaluate=evaluate)
    weights = exported.model.state_dict()
    workers = Workers(device=torch.device("cpu"))
    return dict(evaluate_weights(settings, dataset, weights, workers, lists=False).metrics)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.quality.train", description=__doc__.partition("\n")[0])
    parser.add_argument("rows", nargs="*", metavar="ROW", help="DATASET, DATASET:ROW or :ROW (default: all)")
    parser.add_argument("--seeds", type=int, default=3, metavar="K", help="seeds 0 to K − 1 of each (default: 3)")
    parser.add_argument("--folder", type=Path, required=True, help="for checkpoints, which a stopped training resumes")
    parser.add_argument("--data-dir", help="folder with the data sets")
    parser.add_argument("--file", type=Path, default=FILE, help="YAML of the rows (default: rows.yaml)")
    parser.add_argument(
        "--results", type=Path, default=FOLDER, help="where results go (default: benchmarks/results/quality)"
    )
    return parser


if __name__ == "__main__":
    run_command(main)
