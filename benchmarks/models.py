"""An epoch of each model beside SASRec's: `python -m benchmarks.models [--data-dir FOLDER] [--models NAME …]`.

Beauty, every model with its default settings, 64 sequences a step, and what it does before an epoch (clusters, an index)
counted in. Models take turns. `--python` names the interpreter of RecBole's environment
(`benchmarks/peers/recbole_epoch.py` says how to make it). Then an epoch of the models that RecBole has is timed there,
too, on some steps, and ours with as many pairs a step. (An epoch of BERT4Rec is a row for each user here, and one for
each pair there.)
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
import torch

from benchmarks import beauty
from benchmarks.fixtures import RECBOLE_SEQUENCES, epoch_share, sample_batches, stage_run, steps
from benchmarks.harness import Row, in_turns, publish
from benchmarks.peers.ask import ask, write
from fame.datasets.sequences import Sequences
from fame.registry import models
from fame.training.loop import StageRun

PAIRS = 6_000
"""Pairs that are timed at a time."""
REFERENCE = "sasrec"
RECBOLE = {"bert4rec": "BERT4Rec", "core": "CORE", "gru4rec": "GRU4Rec", "sasrec": "SASRec"}
"""RecBole's names of the models that it has."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    beauty.add_options(parser)
    parser.add_argument("--models", nargs="+", metavar="NAME", help="which (default: all that have weights)")
    parser.add_argument("--rounds", type=int, default=3, help="turns whose median counts (default: %(default)s)")
    parser.add_argument("--python", type=Path, help="interpreter of RecBole's environment (default: ours alone)")
    parser.add_argument("--steps", type=int, default=6, help="steps of RecBole to time (default: %(default)s)")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    data = beauty.load(args.data_dir, args.tiny)
    names = sorted({REFERENCE, *(args.models or models.names())})
    runs = {name: stage_run(data.sequences, model={"name": name}) for name in names}
    runs = {name: run for name, run in runs.items() if run.has_weights}
    epochs = epochs_of(runs, args.rounds)
    rows = []
    for name, seconds in sorted(epochs.items(), key=lambda pair: pair[1]):
        rows.append(Row(what=f"{name} epoch", value=seconds, unit="s"))
        rows.append(Row(what=f"{name} ÷ {REFERENCE}", value=seconds / epochs[REFERENCE]))
    if args.python:
        rows += beside_recbole(data.sequences, [name for name in runs if name in RECBOLE], args)
    publish("models", rows, {"data": data.name, "threads": args.threads, "steps": args.steps}, args.tiny)


def epochs_of(runs: dict[str, StageRun], rounds: int) -> dict[str, float]:
    """Seconds of an epoch of each training, from some of its steps."""
    batches = {name: sample_batches(run, PAIRS) for name, run in runs.items()}
    starts = {name: lambda run=run: run.start_epoch(0, np.random.default_rng(0)) for name, run in runs.items()}
    before = in_turns(starts, rounds, warmup=1)
    during = in_turns({name: steps(run, batches[name]) for name, run in runs.items()}, rounds)
    return {name: before[name] + during[name] * epoch_share(batches[name]) for name in runs}


def beside_recbole(sequences: Sequences, names: list[str], args: argparse.Namespace) -> list[Row]:
    """RecBole's epochs, and how much longer they are than ours with as many pairs a step."""
    rows, train = [], {"batch_size": RECBOLE_SEQUENCES}
    with tempfile.TemporaryDirectory() as folder:
        write(sequences, Path(folder))
        for name in names:
            found = ask("recbole", args.python, Path(folder), args.threads, args.steps, "--model", RECBOLE[name])
            theirs = found["train_seconds_per_epoch"]
            ours = epochs_of({name: stage_run(sequences, model={"name": name}, train=train)}, args.rounds)[name]
            rows.append(Row(what=f"{name} epoch of RecBole", value=theirs, unit="s"))
            rows.append(Row(what=f"{name}: RecBole ÷ ours, as many pairs a step", value=theirs / ours))
    return rows


if __name__ == "__main__":
    main()
