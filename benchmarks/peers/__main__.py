"""SASRec of other libraries against ours: `python -m benchmarks.peers --rectools VENV/bin/python … [--data-dir FOLDER]`.

D 64, 2 blocks, 2 heads, T 50, the softmax over all items, one thread, and each library's own number of sequences a step; CPU
seconds of an epoch, from some steps of it. *Padding* is the share of the positions that each reads which hold no item.
RecTools and RePlay also compute the loss of every padded position; *without padding in the loss* leaves these out.
"""

from __future__ import annotations

import argparse
import statistics
import time
from typing import Any

import torch

from benchmarks import beauty
from benchmarks.fixtures import epoch_share, sample_batches, stage_run, steps
from benchmarks.harness import Row, publish
from benchmarks.peers.ask import LIBRARIES, add_options, ask_all, asked

PAIRS = 12_000
"""Pairs of ours that are timed at a time."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description=__doc__.partition("\n")[0])
    beauty.add_options(parser)
    add_options(parser)
    parser.add_argument("--rounds", type=int, default=3, help="turns whose median counts (default: %(default)s)")
    args = parser.parse_args()
    pythons = asked(args)
    if not pythons and not args.tiny:
        parser.error(
            f"no library is named; give the interpreter of one: {', '.join(f'--{name}' for name in LIBRARIES)}"
        )
    torch.set_num_threads(1)
    data = beauty.load(args.data_dir, args.tiny)
    run = stage_run(data.sequences, model={"name": "sasrec"})
    batches = sample_batches(run, PAIRS)
    work, share = steps(run, batches), epoch_share(batches)
    work()
    ours: list[float] = []
    theirs: list[dict[str, dict[str, Any]]] = []
    for _ in range(args.rounds):
        began = time.process_time()
        work()
        ours.append((time.process_time() - began) * share)
        theirs.append(ask_all(pythons, data.sequences, args.steps))
    own = statistics.median(ours)
    rows = [
        Row(what="our SASRec, an epoch", value=own, unit="s"),
        Row(what="our SASRec, padding", value=100 * run.padding, unit="%"),
    ]
    for name in pythons:
        rows += rows_of(LIBRARIES[name], [found[name] for found in theirs], own)
    settings = {"data": data.name, "threads": 1, "steps": args.steps, "peers": theirs[-1]}
    publish("peers", rows, settings, args.tiny)


def rows_of(library: str, found: list[dict[str, Any]], own: float) -> list[Row]:
    def median(key: str) -> float:
        return statistics.median(one[key] for one in found)

    epoch = median("train_cpu_seconds_per_epoch")
    rows = [
        Row(what=f"{library}, an epoch", value=epoch, unit="s"),
        Row(what=f"{library} ÷ ours", value=epoch / own),
        Row(what=f"{library}, padding", value=100 * median("padding"), unit="%"),
    ]
    if "unpadded_cpu_seconds_per_epoch" in found[0]:
        unpadded = median("unpadded_cpu_seconds_per_epoch")
        rows += [
            Row(what=f"{library} without padding in the loss, an epoch", value=unpadded, unit="s"),
            Row(what=f"{library} without padding in the loss ÷ ours", value=unpadded / own),
        ]
    return rows


if __name__ == "__main__":
    main()
