"""How much of a sweep's time is training: `python -m benchmarks.sweep_efficiency [--quick]`.

Whole sweeps, run as a user runs them, on all cores. The efficiency is the time that trials spend on
training and evaluation, summed, divided by the wall time of the command (from its start to its end,
export included) times the trials that run at a time.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import torch

from benchmarks.harness import Row, publish
from fame.config.tree import experiment_from_dict, write_yaml
from fame.datasets import load_dataset
from fame.runtime.parallel import Workers
from fame.training.fit import fit

SOURCES = Path(__file__).parents[1]
DATA = {"name": "synthetic", "size": {"users": 3000, "items": 2000}}
BASE = {
    "model": {"name": "fame", "heads": 2, "experts": 4},
    "backbone": {"epochs": 0},
    "train": {"precision": "float32", "patience": 0},
}
"""All trials take the same time: what is searched, the learning rate, changes nothing about it."""
TARGETS = {"torch": 0.7, "inline": 0.9}
QUICK = {"trials": 4, "seconds": 6.0}


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """What a sweep took."""

    wall_seconds: float
    trial_seconds: float
    """Training and evaluation of all its trials."""


def epoch_seconds(folder: Path) -> float:
    """Seconds of an epoch on one thread: the fastest of a few, for the machine may have other work."""
    torch.set_num_threads(1)
    experiment = experiment_from_dict({**BASE, "data": DATA, "train": {**BASE["train"], "epochs": 4}})
    sequences = load_dataset(experiment.data).sequences
    reports = fit(experiment, sequences, folder, Workers(device=torch.device("cpu")))
    return min(report.train_seconds + report.evaluate_seconds for report in reports)


def run_sweep(folder: Path, name: str, trials: int, epochs: int, *options: str) -> Sweep:
    """Run `tuning/sweep.py` from start to end."""
    space = {
        "base": {**BASE, "train": {**BASE["train"], "epochs": epochs}},
        "search": {"train.lr": {"low": 1e-4, "high": 1e-2, "log": True}},
    }
    (folder / "space.yaml").write_text(write_yaml(space), encoding="utf-8")
    command = [
        *(sys.executable, str(SOURCES / "tuning/sweep.py"), "--space", "space.yaml", "--name", name),
        *("--dataset", DATA["name"], "--set", f"data.size={json.dumps(DATA['size'])}"),
        *("--trials", str(trials), "--sampler", "random", "--scheduler", "none", "--seed", "1", *options),
    ]
    began = time.perf_counter()
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    wall = time.perf_counter() - began
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stdout}\n{done.stderr}")
    return Sweep(wall_seconds=wall, trial_seconds=trial_seconds(folder / "runs" / name / "tune" / name))


def trial_seconds(folder: Path) -> float:
    """Seconds of training and evaluation that Tune was told of, each epoch once."""
    total = 0.0
    for path in folder.glob("*/result.json"):
        results = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        epochs = {result["epoch"]: result for result in results}
        total += sum(result["train_seconds"] + result["evaluate_seconds"] for result in epochs.values())
    return total


def together_or_apart(folder: Path, epochs: int, slots: int) -> Row:
    """Trials side by side against trials one after the other, each of which has all cores."""
    together = run_sweep(folder, "together", 4, epochs, "--trainer", "inline")
    alone = ("--concurrent", "1", "--cpus-per-worker", str(slots))
    apart = run_sweep(folder, "apart", 4, epochs, "--trainer", "inline", *alone)
    what = f"inline: 4 trials, {slots} at a time on a core each ÷ one after the other on all cores"
    return Row(what=what, value=together.wall_seconds / apart.wall_seconds, at_most=1)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sweep_efficiency", description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=16, metavar="N", help="trials of a sweep (default: 16)")
    parser.add_argument("--seconds", type=float, default=30.0, metavar="S", help="training of a trial (default: 30)")
    parser.add_argument(
        "--trainer",
        choices=list(TARGETS),
        action="append",
        help="only this one (default: both, and the comparison of concurrency)",
    )
    parser.add_argument("--quick", action="store_true", help="4 trials of 6 seconds, which cannot reach the targets")
    args = parser.parse_args()
    if args.quick:
        args.trials, args.seconds = QUICK["trials"], QUICK["seconds"]
    slots, rows, settings = os.cpu_count() or 1, [], {"trials": args.trials, "slots": os.cpu_count()}
    with tempfile.TemporaryDirectory(prefix="fame-efficiency-") as temporary:
        folder = Path(temporary)
        os.environ.update(FAME_DATA=str(folder / "data"), OMP_NUM_THREADS="1")
        seconds = epoch_seconds(folder)
        epochs = max(1, round(args.seconds / seconds))
        settings |= {"epochs": epochs, "epoch_seconds": seconds}
        for trainer in args.trainer or TARGETS:
            sweep = run_sweep(folder, trainer, args.trials, epochs, "--trainer", trainer)
            efficiency = sweep.trial_seconds / (sweep.wall_seconds * slots)
            target = None if args.quick else TARGETS[trainer]
            rows.append(Row(what=f"{trainer}: share of the sweep spent on training", value=efficiency, at_least=target))
            rows.append(Row(what=f"{trainer}: a trial's training", value=sweep.trial_seconds / args.trials, unit="s"))
            rows.append(Row(what=f"{trainer}: the sweep", value=sweep.wall_seconds, unit="s"))
        if args.trainer is None:
            rows.append(together_or_apart(folder, max(1, round(QUICK["seconds"] / seconds)), slots))
    publish("sweep_efficiency", rows, settings)


if __name__ == "__main__":
    main()
