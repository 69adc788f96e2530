"""A training step against its floor and its peers: `python -m benchmarks.training [--data-dir FOLDER]`.

FAME (D 64, 2 blocks, H 2, N 4, T 50) on Beauty, default settings: against the matrix products of the same
steps alone, against SASRec, and against FAME written naively (`benchmarks/peers/naive_fame.py`).
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import torch

from benchmarks import beauty
from benchmarks.fixtures import epoch_share, sample_batches, stage_run, steps
from benchmarks.harness import Row, in_turns, publish
from benchmarks.peers.naive_fame import NaiveFame
from benchmarks.products import recorded, replay
from fame.datasets.batches import Batch
from fame.datasets.sequences import Sequences

PAIRS = 12_000
"""Pairs that are timed at a time, about a tenth of an epoch."""
PREFIXES = {"prefix": {"targets": 1, "batch_size": 256}, "prefix4": {"targets": 4, "batch_size": 128}}
"""Training by prefixes as the recipe does, and in steps of about as many targets as 64 sequences have in one pass."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    beauty.add_options(parser)
    parser.add_argument("--rounds", type=int, default=5, help="turns whose median counts (default: %(default)s)")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    data = beauty.load(args.data_dir, args.tiny)
    run, sasrec = stage_run(data.sequences), stage_run(data.sequences, model={"name": "sasrec"})
    batches = sample_batches(run, PAIRS)
    products = replay(recorded(steps(run, batches)))
    actions = {"fame": steps(run, batches), "products": products, "sasrec": steps(sasrec, batches)}
    shares = {"fame": epoch_share(batches)}
    for name, train in PREFIXES.items():
        prefixes = stage_run(data.sequences, train={"mode": "prefix", **train})
        samples = sample_batches(prefixes, PAIRS)
        actions[name], shares[name] = steps(prefixes, samples), epoch_share(samples)
    seconds = in_turns(actions, args.rounds)
    fame, prefix, prefix4 = (seconds[name] * share for name, share in shares.items())
    # All its steps are padded to the full length, so one is as long as any other.
    middle = batches[len(batches) // 2]
    naive = run.steps_per_epoch * in_turns({"naive": naive_steps(data.sequences, [middle])}, rounds=3)["naive"]
    rows = [
        Row(what="FAME epoch", value=fame, unit="s"),
        Row(what="FAME pairs a second", value=beauty.PAIRS / fame),
        Row(what="FAME written naively, epoch", value=naive, unit="s"),
        Row(what="FAME written naively ÷ FAME", value=naive / fame, at_least=10),
        Row(what="FAME epoch ÷ SASRec epoch", value=seconds["fame"] / seconds["sasrec"], at_most=1.25),
        Row(what="by prefixes ÷ one pass for all positions", value=prefix / fame),
        Row(what="by prefixes of 4 targets ÷ one pass", value=prefix4 / fame, at_most=1.5),
        Row(what="step ÷ its matrix products alone", value=seconds["fame"] / seconds["products"], at_most=1.5),
        Row(what="padding", value=100 * run.padding, unit="%"),
    ]
    settings = {"data": data.name, "threads": args.threads, "batch_size": run.stage.train.batch_size}
    publish("training", rows, settings, args.tiny)


def naive_steps(sequences: Sequences, batches: list[Batch], length: int = 50) -> Callable[[], None]:
    """Steps of the naive model over the same histories, all padded to the full length."""
    model = NaiveFame(sequences.item_count, length)
    optimizer = torch.optim.Adam(model.parameters())

    def padded(batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        items_BT = torch.zeros(len(batch.items_BT), length, dtype=torch.long)
        targets_BT = torch.zeros_like(items_BT)
        width = batch.items_BT.shape[1]
        items_BT[:, :width] = batch.items_BT
        targets_BT[batch.positions_R // width, batch.positions_R % width] = batch.targets_R
        return items_BT, targets_BT

    inputs = [(padded(batch), batch.target_count) for batch in batches]

    def work() -> None:
        for (items_BT, targets_BT), count in inputs:
            (model(items_BT, targets_BT) / count).backward()
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)

    return work


if __name__ == "__main__":
    main()
