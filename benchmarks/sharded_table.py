"""An item table that lies on several workers: `python -m benchmarks.sharded_table [--items V]`.

Two and four workers train, evaluate and write checkpoints through `fame.training.fit`, with a whole table each and with a
stretch of it each (`train.shard_items`). The items' memory is the most that a worker ever held, less what it held in the
same training with few items.
"""

from __future__ import annotations

import argparse
import dataclasses
import tempfile
from pathlib import Path

import torch

from benchmarks.fixtures import in_workers
from benchmarks.harness import Row, add_tiny, peak_memory, publish
from benchmarks.large_catalogue import GIBIBYTE, settings, zipf_sequences
from fame.config.tree import to_dict
from fame.runtime.parallel import Workers
from fame.training.fit import fit

FEW, MANY, USERS = 1_000, 2_000_000, 2_400
TINY = (500, 2_000, 60)
WORKERS = (2, 4)
EPOCHS = 2
SHARES = {2: 0.55, 4: 0.35}
"""Most memory of the items by workers, as a share of a whole table's."""


def one_worker(items: int, users: int, sharded: bool, folder: str) -> tuple[int, float, float]:
    """This worker's peak of memory, in bytes; its seconds a step; and the loss of the last epoch."""
    base = settings()
    train = dataclasses.replace(base.train, shard_items=sharded, epochs=EPOCHS)
    workers = Workers.current(torch.device("cpu"))
    experiment = dataclasses.replace(base, train=train)
    reports = list(fit(experiment, zipf_sequences(items, users), Path(folder), workers))
    steps = -(-users // train.batch_size)
    return peak_memory(), reports[-1].train_seconds / steps, reports[-1].loss


def together(workers: int, items: int, users: int, sharded: bool) -> tuple[int, float, float]:
    """The largest worker's memory, its seconds a step, and the loss."""
    with tempfile.TemporaryDirectory() as folder:
        found = in_workers(one_worker, workers, items, users, sharded, folder)
    memory, seconds, losses = zip(*found, strict=True)
    return max(memory), max(seconds), losses[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--items", type=int, default=MANY, metavar="V", help="the catalogue (default: %(default)s)")
    parser.add_argument(
        "--only-sharded", action="store_true", help="for catalogues of which a whole table does not fit"
    )
    add_tiny(parser)
    args = parser.parse_args()
    few, many, users = TINY if args.tiny else (FEW, args.items, USERS)
    rows = []
    for workers in WORKERS:
        base, _, _ = together(workers, few, users, sharded=True)
        memory, seconds, loss = together(workers, many, users, sharded=True)
        rows.append(_memory(f"a stretch each on {workers} workers", memory - base))
        rows.append(Row(what=f"a step of {workers} workers, a stretch each", value=1000 * seconds, unit="ms"))
        if args.only_sharded:
            continue
        whole, whole_seconds, whole_loss = together(workers, many, users, sharded=False)
        rows += [
            _memory(f"a whole table on each of {workers} workers", whole - base),
            Row(
                what=f"memory of the items, a stretch ÷ a whole table, {workers} workers",
                value=(memory - base) / max(1, whole - base),
                at_most=SHARES[workers],
            ),
            Row(what=f"a step, a stretch ÷ a whole table, {workers} workers", value=seconds / whole_seconds),
            Row(
                what=f"loss after {EPOCHS} epochs, relative difference, {workers} workers",
                value=abs(loss / whole_loss - 1),
                at_most=1e-5,
            ),
        ]
    publish(
        "sharded_table",
        rows,
        {"items": many, "users": users, "threads": 1, "experiment": to_dict(settings())},
        args.tiny,
    )


def _memory(what: str, size: int) -> Row:
    return Row(what=f"memory of the items, {what}", value=size / GIBIBYTE, unit="GiB")


if __name__ == "__main__":
    main()
