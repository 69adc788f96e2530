"""How long until a search has found a good configuration: `python -m benchmarks.time_to_quality --data-dir FOLDER`.

SASRec on Beauty, until an epoch of any trial has at least the mark in validation NDCG@10. A sweep is compared with a
bare Optuna loop over `fame.training.fit` in one process, with the same space, sampler and seed. Time counts from the
start of the command, CPU time is that of all processes. `--rectools`, `--replay` and `--recbole` name the interpreters
of their own environments (`benchmarks/peers`). Then a search with their SASRec is estimated: the epochs of the bare
loop times the measured CPU time of their epoch.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import optuna
import torch

from benchmarks import beauty
from benchmarks.harness import Row, add_tiny, in_own_process, publish
from benchmarks.peers.ask import LIBRARIES, add_options, ask_all, asked
from benchmarks.processor_time import ProcessorTime
from fame.config.tree import write_yaml
from fame.datasets import load_dataset
from fame.runtime.parallel import Workers
from fame.training.fit import fit
from fame.training.resolve import resolve
from tuning.plan.command_line import parse
from tuning.plan.new_plan import make_plan
from tuning.search.sampler import FeasibleSampler
from tuning.study.trials import RAY_ID
from tuning.trial.plan import trial_experiment

SWEEP = Path(__file__).parents[1] / "tuning" / "sweep.py"
MARK = 0.0614
"""Validation NDCG@10 of SASRec without text after a sweep and 12 epochs, mean of three seeds (log of 2026-11-24)."""
SPACE = {
    "base": {"model": {"name": "sasrec", "dim": 64, "blocks": 2, "heads": 2}, "train": {"epochs": 12, "patience": 3}},
    "search": {
        "train.lr": {"low": 1e-4, "high": 1e-2, "log": True},
        "train.batch_size": {"choices": [32, 64, 128, 256]},
        "model.dropout": {"low": 0.1, "high": 0.6, "step": 0.1},
        "model.attention_dropout": {"low": 0.0, "high": 0.6, "step": 0.1},
    },
}
"""The settings that SASRec has in all these libraries, with the width of the measured epochs."""
SCHEDULERS = ("none", "asha")
"""`none` trains what the bare loop trains; `asha` is a sweep's default."""
POLL_SECONDS, LEAVE_SECONDS = 0.5, 120.0


@dataclass(frozen=True, kw_only=True)
class Found:
    """A search that has reached the mark."""

    wall_seconds: float
    cpu_seconds: float
    trials: int
    """Trials that have had an epoch."""
    epochs: int
    value: float


def arguments_of(folder: Path, trials: int, seed: int, data: list[str], scheduler: str) -> list[str]:
    """Write the space, and return the options of a sweep over it."""
    (folder / "space.yaml").write_text(write_yaml(SPACE), encoding="utf-8")
    return [
        *("--space", str(folder / "space.yaml"), "--model", "sasrec", *data, "--trials", str(trials)),
        *("--sampler", "tpe", "--scheduler", scheduler, "--seed", str(seed), "--concurrent", "1", "--no-register"),
    ]


def sweep(folder: Path, mark: float, arguments: list[str]) -> Found:
    """Run `tuning/sweep.py` until it has reached the mark, in a process that has no other children (`in_own_process`)."""
    folder.mkdir()
    began = time.perf_counter()
    command = [sys.executable, str(SWEEP), *arguments, "--name", "quality"]
    with ProcessorTime() as used, (folder / "output").open("wb") as output:
        process = subprocess.Popen(command, cwd=folder, stdout=output, stderr=output)
        try:
            while process.poll() is None:
                time.sleep(POLL_SECONDS)
                values = epochs_of(folder / "runs" / "quality" / "tune" / "quality")
                best = max((value for curve in values.values() for value in curve.values()), default=-1.0)
                if best >= mark:
                    return Found(
                        wall_seconds=time.perf_counter() - began,
                        cpu_seconds=used.seconds,
                        trials=len(values),
                        epochs=sum(map(len, values.values())),
                        value=best,
                    )
        finally:
            end(process)
    told = (folder / "output").read_text(encoding="utf-8", errors="replace")
    raise RuntimeError(f"the sweep has ended without an epoch of {mark}; lower --mark, or raise --trials:\n{told}")


def end(process: subprocess.Popen[bytes]) -> None:
    """Press Ctrl-C, at which a sweep exports its best, and once more, at which it ends at once."""
    for _ in range(2):
        process.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(LEAVE_SECONDS)
            return
    process.kill()
    process.wait()


def epochs_of(folder: Path) -> dict[str, dict[int, float]]:
    """Validation NDCG@10 by epoch of each trial that Tune knows."""
    found: dict[str, dict[int, float]] = {}
    for path in folder.glob("*/result.json"):
        lines = path.read_bytes().split(b"\n")[:-1]  # what follows the last line's end is being written
        results = [result for line in lines if "ndcg@10" in (result := json.loads(line))]
        if results:
            found[path.parent.name] = {result["epoch"]: result["ndcg@10"] for result in results}
    return found


def bare_loop(folder: Path, mark: float, arguments: list[str]) -> Found:
    """Search the space of a sweep with its sampler, in this process alone."""
    began = time.perf_counter()
    torch.set_num_threads(1)
    plan = make_plan(parse(arguments)[0])
    dataset, workers = load_dataset(plan.experiment.data), Workers(device=torch.device("cpu"))
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    sampler = FeasibleSampler(plan.space, plan.options.sampler, plan.options.seed, plan.trials)
    study, epochs, best = optuna.create_study(direction="maximize", sampler=sampler), 0, 0.0
    for number in range(plan.trials):
        trial = study.ask()
        point = plan.space.sample(trial)
        trial.set_user_attr(RAY_ID, str(number))  # by this the sampler knows the trials of a sweep
        experiment = resolve(trial_experiment(plan.space.base, point), dataset, workers.device, threads=1)
        place = folder / str(number)
        place.mkdir(parents=True)
        for report in fit(experiment, dataset.sequences, place, workers):
            epochs, best = epochs + 1, max(best, report.validation["ndcg@10"])
            print(f"  trial {number} epoch {report.epoch}: {report.validation['ndcg@10']:.4f}", flush=True)
            if best >= mark:
                return Found(
                    wall_seconds=time.perf_counter() - began,
                    cpu_seconds=time.process_time(),
                    trials=number + 1,
                    epochs=epochs,
                    value=best,
                )
        study.tell(trial, report.best)
    raise RuntimeError(f"{plan.trials} trials have reached {best:.4f}, not {mark}; lower --mark, or raise --trials")


def rows_of(bare: list[Found], sweeps: Mapping[str, list[Found]], peer_epochs: Mapping[str, float]) -> list[Row]:
    def cpu(found: list[Found]) -> float:
        return statistics.median(one.cpu_seconds for one in found)

    def minutes(found: list[Found]) -> float:
        return statistics.median(one.wall_seconds for one in found) / 60

    rows = [
        Row(what="bare Optuna loop, CPU time", value=cpu(bare), unit="s"),
        Row(what="bare Optuna loop, time", value=minutes(bare), unit="min"),
    ]
    for scheduler, found in sweeps.items():
        name = f"sweep, scheduler {scheduler}"
        rows += [
            Row(what=f"{name}, CPU time", value=cpu(found), unit="s"),
            Row(what=f"{name}, time", value=minutes(found), unit="min"),
            Row(what=f"{name} ÷ the bare loop, CPU time", value=cpu(found) / cpu(bare), at_most=1.2),
        ]
    epochs, fastest = statistics.median(one.epochs for one in bare), min(map(cpu, sweeps.values()))
    for peer, seconds in peer_epochs.items():
        estimate = epochs * seconds
        what = f"{peer}, estimate: {epochs:.0f} epochs of {seconds:.0f} s, CPU time"
        rows += [
            Row(what=what, value=estimate, unit="s"),
            Row(what=f"{peer}, estimate ÷ the faster sweep", value=estimate / fastest, at_least=20),
        ]
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.time_to_quality", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("--data-dir", type=Path, help="folder with the prepared Beauty")
    parser.add_argument("--mark", type=float, default=MARK, help="validation NDCG@10 to reach (default: %(default)s)")
    parser.add_argument("--trials", type=int, default=40, metavar="N", help="most trials (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="seeds whose median counts (default: 3)")
    parser.add_argument("--schedulers", nargs="+", default=SCHEDULERS, help="of the sweeps (default: none asha)")
    add_options(parser)
    add_tiny(parser)
    args = parser.parse_args()
    if args.data_dir is None and not args.tiny:
        parser.error("--data-dir is missing: random data have no quality to reach; give the folder with Beauty")
    data = ["--dataset", "beauty", "--data-dir", str(args.data_dir and args.data_dir.absolute())]
    if args.tiny:
        data = ["--dataset", "synthetic", "--set", "data.size={users: 200, items: 120}"]
        args.mark, args.rounds, args.trials = 0.0, 1, 4
    os.environ["OMP_NUM_THREADS"] = "1"
    theirs = ask_all(asked(args), beauty.load(args.data_dir, args.tiny).sequences, args.steps)
    peer_epochs = {LIBRARIES[name]: found["train_cpu_seconds_per_epoch"] for name, found in theirs.items()}
    bare: list[Found] = []
    sweeps: dict[str, list[Found]] = {scheduler: [] for scheduler in args.schedulers}
    for seed in range(args.rounds):
        with tempfile.TemporaryDirectory(prefix="fame-quality-") as temporary:
            folder = Path(temporary)
            common = (args.trials, seed, data)
            bare.append(in_own_process(bare_loop, folder / "bare", args.mark, arguments_of(folder, *common, "none")))
            print(f"seed {seed}: bare loop {bare[-1]}", flush=True)
            for scheduler, found in sweeps.items():
                arguments = arguments_of(folder, *common, scheduler)
                found.append(in_own_process(sweep, folder / scheduler, args.mark, arguments))
                print(f"seed {seed}: sweep, scheduler {scheduler} {found[-1]}", flush=True)
        settings = {
            "mark": args.mark,
            "trials": args.trials,
            "space": SPACE,
            "bare": [asdict(one) for one in bare],
            **{f"sweep {scheduler}": [asdict(one) for one in found] for scheduler, found in sweeps.items()},
            "peers": theirs,
        }
        # After each round: what is measured stays if the machine ends the rest.
        publish("time_to_quality", rows_of(bare, sweeps, peer_epochs), settings, args.tiny)


if __name__ == "__main__":
    main()
