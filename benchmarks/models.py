"""An epoch of each model beside SASRec's: `python -m benchmarks.models [--data-dir FOLDER] [--models NAME …]`.

Beauty, every model with its default settings, 64 sequences a step, and what it does before an epoch (clusters, an index)
counted in. Models take turns.
"""

from __future__ import annotations

import argparse

import numpy as np
import torch

from benchmarks import beauty
from benchmarks.fixtures import epoch_share, sample_batches, stage_run, steps
from benchmarks.harness import Row, in_turns, publish
from fame.registry import models

PAIRS = 6_000
"""Pairs that are timed at a time."""
REFERENCE = "sasrec"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    beauty.add_options(parser)
    parser.add_argument("--models", nargs="+", metavar="NAME", help="which (default: all that have weights)")
    parser.add_argument("--rounds", type=int, default=3, help="turns whose median counts (default: %(default)s)")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    data = beauty.load(args.data_dir)
    names = sorted({REFERENCE, *(args.models or models.names())})
    runs = {name: stage_run(data.sequences, model={"name": name}) for name in names}
    runs = {name: run for name, run in runs.items() if run.has_weights}
    batches = {name: sample_batches(run, PAIRS) for name, run in runs.items()}
    starts = {name: lambda run=run: run.start_epoch(0, np.random.default_rng(0)) for name, run in runs.items()}
    before = in_turns(starts, args.rounds, warmup=1)
    during = in_turns({name: steps(run, batches[name]) for name, run in runs.items()}, args.rounds)
    epochs = {name: before[name] + during[name] * epoch_share(batches[name]) for name in runs}
    rows = []
    for name, seconds in sorted(epochs.items(), key=lambda pair: pair[1]):
        rows.append(Row(what=f"{name} epoch", value=seconds, unit="s"))
        rows.append(Row(what=f"{name} ÷ {REFERENCE}", value=seconds / epochs[REFERENCE]))
    publish("models", rows, {"data": data.name, "threads": args.threads})


if __name__ == "__main__":
    main()
