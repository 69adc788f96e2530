"""RecBole's SASRec against ours: `python -m benchmarks.recbole --python VENV/bin/python [--data-dir FOLDER]`.

`python -m benchmarks.peers` has other libraries beside it. VENV is RecBole's own environment, outside this repository:
`benchmarks/peers/recbole_epoch.py` says how to make it. Both train on the same 131,413 (history → next item) pairs with
the same threads, D 64, 2 blocks, 2 heads and about 2,048 pairs a step (RecBole's default), and rank all items for all
users. RecBole and ours take turns; its training is timed on some steps of a shuffled epoch.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from pathlib import Path
from typing import Any

import torch

from benchmarks import beauty
from benchmarks.fixtures import RECBOLE_SEQUENCES, sample_batches, stage_run, steps
from benchmarks.harness import Row, in_turns, publish
from benchmarks.peers.ask import ask, write
from fame.training.loop import StageRun


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    beauty.add_options(parser)
    parser.add_argument("--python", type=Path, required=True, help="interpreter of RecBole's environment")
    parser.add_argument("--rounds", type=int, default=3, help="turns whose median counts (default: %(default)s)")
    parser.add_argument("--steps", type=int, default=6, help="steps of RecBole to time (default: %(default)s)")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    data = beauty.load(args.data_dir, args.tiny)
    ours = {
        (model, size): stage_run(data.sequences, model={"name": model}, train={"batch_size": size})
        for model, size in (("fame", RECBOLE_SEQUENCES), ("sasrec", RECBOLE_SEQUENCES), ("fame", 64))
    }
    theirs: list[dict[str, Any]] = []
    measured: list[dict[Any, float]] = []
    with tempfile.TemporaryDirectory() as folder:
        write(data.sequences, Path(folder))
        for _ in range(args.rounds):
            theirs.append(ask("recbole", args.python, Path(folder), args.threads, args.steps))
            measured.append(one_round(ours))
    epoch = {key: statistics.median(seconds[key] for seconds in measured) for key in ours}
    evaluation = statistics.median(seconds["evaluation"] for seconds in measured)
    their_epoch = statistics.median(run["train_seconds_per_epoch"] for run in theirs)
    their_evaluation = statistics.median(run["evaluate_seconds_all"] for run in theirs)
    same, default = epoch["fame", RECBOLE_SEQUENCES], epoch["fame", 64]
    rows = [
        Row(what="RecBole SASRec epoch", value=their_epoch, unit="s"),
        Row(what="FAME epoch, as many pairs a step", value=same, unit="s"),
        Row(what="RecBole SASRec ÷ FAME, as many pairs a step", value=their_epoch / same, at_least=60),
        Row(what="RecBole SASRec ÷ FAME, our default of 64 sequences", value=their_epoch / default),
        Row(what="RecBole SASRec ÷ SASRec, as many pairs", value=their_epoch / epoch["sasrec", RECBOLE_SEQUENCES]),
        Row(what="RecBole full-sort evaluation ÷ ours", value=their_evaluation / evaluation, at_least=10),
    ]
    settings = {"data": data.name, "threads": args.threads, "steps": args.steps, "peer": theirs[-1]}
    publish("recbole", rows, settings, args.tiny)


def one_round(ours: dict[Any, StageRun]) -> dict[Any, float]:
    """Seconds of a whole epoch of each training, and of an evaluation of FAME."""
    seconds: dict[Any, float] = {}
    for key, run in ours.items():
        steps(run, sample_batches(run, 12_000))()
        seconds |= in_turns({key: lambda run=run: run.train_epoch(1, 0)}, rounds=1, warmup=0)
    fame = ours["fame", RECBOLE_SEQUENCES]
    return seconds | in_turns({"evaluation": lambda: fame.evaluator.metrics(fame.model)}, rounds=3)


if __name__ == "__main__":
    main()
