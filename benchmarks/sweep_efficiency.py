"""Measures what the platform adds to the training of a sweep: `python -m benchmarks.sweep_efficiency [--quick]`.

Real sweeps (Ray, Tune, Optuna, MLflow) of trials that all train equally long, with one worker a trial and with two. The share
of the sweep spent on training counts from the start of the command to its end. CPU time is that of all processes, against
a bare Optuna loop over as many of the same trainings in one process.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import optuna
import torch

from benchmarks.harness import Row, add_tiny, in_own_process, publish
from benchmarks.processor_time import ProcessorTime
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
SHARES = {1: 0.88, 2: 0.85}
"""Wanted share of the sweep spent on training, by the workers of a trial."""
CPU = 1.2
"""Wanted CPU time against the bare loop."""
QUICK = {"trials": 4, "seconds": 6.0}


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """The times of a sweep."""

    wall_seconds: float
    cpu_seconds: float
    """CPU time of all its processes."""
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
    """Run `tuning/sweep.py` from start to end, in a process that has no other children (`in_own_process`)."""
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
    with ProcessorTime() as used:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
        wall = time.perf_counter() - began
        with contextlib.suppress(ChildProcessError):
            while True:
                os.wait()
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stdout}\n{done.stderr}")
    trained = trial_seconds(folder / "runs" / name / "tune" / name)
    return Sweep(wall_seconds=wall, cpu_seconds=used.seconds, trial_seconds=trained)


def bare_loop(folder: Path, trials: int, epochs: int) -> float:
    """Return the CPU seconds of this process after so many of the same trainings under Optuna alone."""
    torch.set_num_threads(1)
    tree = {**BASE, "data": DATA, "train": {**BASE["train"], "epochs": epochs}}
    sequences = load_dataset(experiment_from_dict(tree).data).sequences

    def objective(trial: optuna.Trial) -> float:
        lr = trial.suggest_float("train.lr", 1e-4, 1e-2, log=True)
        experiment = experiment_from_dict({**tree, "train": {**tree["train"], "lr": lr}})
        place = folder / str(trial.number)
        place.mkdir(parents=True)
        return max(report.best for report in fit(experiment, sequences, place, Workers(device=torch.device("cpu"))))

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.RandomSampler(seed=1))
    study.optimize(objective, n_trials=trials)
    return time.process_time()


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
    together = in_own_process(run_sweep, folder, "together", 4, epochs)
    alone = ("--concurrent", "1", "--cpus-per-worker", str(slots))
    apart = in_own_process(run_sweep, folder, "apart", 4, epochs, *alone)
    what = f"4 trials, {slots} at a time on a core each ÷ one after the other on all cores"
    return Row(what=what, value=together.wall_seconds / apart.wall_seconds, at_most=1)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sweep_efficiency", description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=16, metavar="N", help="trials of a sweep (default: 16)")
    parser.add_argument("--seconds", type=float, default=30.0, metavar="S", help="training of a trial (default: 30)")
    parser.add_argument("--quick", action="store_true", help="4 trials of 6 seconds, which cannot reach the targets")
    add_tiny(parser)
    args = parser.parse_args()
    if args.quick:
        args.trials, args.seconds = QUICK["trials"], QUICK["seconds"]
    if args.tiny:
        args.trials, args.seconds = 2, 0.0
    cores, rows, settings = os.cpu_count() or 1, [], {"trials": args.trials, "cores": os.cpu_count()}
    small = args.quick or args.tiny
    with tempfile.TemporaryDirectory(prefix="fame-efficiency-") as temporary:
        folder = Path(temporary)
        os.environ.update(FAME_DATA=str(folder / "data"), OMP_NUM_THREADS="1")
        seconds = epoch_seconds(folder)
        epochs = max(1, round(args.seconds / seconds))
        settings |= {"epochs": epochs, "epoch_seconds": seconds}
        for workers in filter(lambda workers: workers <= cores, SHARES):
            sweep = in_own_process(run_sweep, folder, f"w{workers}", args.trials, epochs, "--workers", str(workers))
            share = sweep.trial_seconds * workers / (sweep.wall_seconds * cores)
            target, label = None if small else SHARES[workers], f"{workers} worker{'s' * (workers > 1)}"
            rows.append(Row(what=f"{label}: share of the sweep spent on training", value=share, at_least=target))
            rows.append(Row(what=f"{label}: a trial's training", value=sweep.trial_seconds / args.trials, unit="s"))
            rows.append(Row(what=f"{label}: the sweep", value=sweep.wall_seconds, unit="s"))
            if workers == 1:
                bare = in_own_process(bare_loop, folder / "bare", args.trials, epochs)
                ratio, target = sweep.cpu_seconds / bare, None if small else CPU
                rows.append(Row(what="CPU time of the sweep", value=sweep.cpu_seconds, unit="s"))
                rows.append(Row(what="CPU time of the bare loop", value=bare, unit="s"))
                rows.append(Row(what="the sweep ÷ the bare loop", value=ratio, at_most=target))
        rows.append(together_or_apart(folder, 1 if args.tiny else max(1, round(QUICK["seconds"] / seconds)), cores))
    publish("sweep_efficiency", rows, settings, args.tiny)


if __name__ == "__main__":
    main()
