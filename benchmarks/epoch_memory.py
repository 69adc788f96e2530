"""Memory of an epoch over 100 million interactions in the prepared store: `python -m benchmarks.epoch_memory`.

Forms every batch of an epoch, as a training does, without a model. Memory of the process's own is compared with what a copy
of the interactions would take; pages of the mapped file can be given back at any time.
"""

from __future__ import annotations

import argparse
import re
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from benchmarks.harness import Row, add_tiny, in_own_process, publish
from fame.config import DataConfig
from fame.datasets import store
from fame.datasets.batches import Batcher, device_values
from fame.datasets.dataset import Dataset
from fame.datasets.items import Items
from fame.datasets.sequences import Sequences, training_windows

INTERACTIONS, LENGTH, ITEMS = 100_000_000, 70, 1_000_000
BATCH_SIZE, MAX_LENGTH = 256, 50


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--interactions", type=int, default=INTERACTIONS, help="how many (default: %(default)s)")
    parser.add_argument("--mode", choices=("all", "prefix"), default="all", help="training mode (default: %(default)s)")
    add_tiny(parser)
    args = parser.parse_args()
    count = 20_000 if args.tiny else args.interactions
    with tempfile.TemporaryDirectory(prefix="fame-epoch-") as folder:
        in_own_process(write, Path(folder, "data"), count)
        bare, own, mapped, seconds = in_own_process(epoch, Path(folder, "data"), args.mode)
    copy = 4 * count / 2**20
    rows = [
        Row(what=f"{count:,} interactions as numbers of 4 bytes", value=copy, unit="MiB"),
        Row(what="own memory that an epoch adds", value=own - bare, unit="MiB"),
        Row(what="pages of mapped files at most", value=mapped, unit="MiB"),
        Row(what="forming the batches of the epoch", value=seconds, unit="s"),
    ]
    publish("epoch_memory", rows, {"interactions": count, "mode": args.mode}, args.tiny)


def write(folder: Path, count: int) -> None:
    """A prepared store of so many interactions, `LENGTH` on average a user."""
    random = np.random.default_rng(0)
    users = max(1, count // LENGTH)
    lengths = 3 + random.multinomial(count - 3 * users, np.full(users, 1 / users))
    sequences = Sequences(
        values=random.integers(1, ITEMS + 1, size=count, dtype=np.int32),
        offsets=np.concatenate([[0], np.cumsum(lengths)]),
        item_count=ITEMS,
    )
    dataset = Dataset(
        config=DataConfig(name="generated"),
        sequences=sequences,
        user_ids=np.arange(users),
        items=Items(ids=np.arange(ITEMS), columns={}),
        facets=(),
        statistics={},
        source="generated",
        notes=(),
        fingerprint="",
        items_fingerprint="",
    )
    store.save(dataset, folder)


def epoch(folder: Path, mode: str) -> tuple[float, float, float, float]:
    """Own memory before, own memory and mapped pages at most (MiB), and the seconds of an epoch's batches."""
    bare, most_own, most_mapped = resident()["RssAnon"], 0.0, 0.0
    sequences = store.load(folder).sequences
    windows = training_windows(sequences, mode, MAX_LENGTH)
    batcher = Batcher(device_values(sequences, torch.device("cpu")), windows)
    began = time.perf_counter()
    for number, _ in enumerate(batcher.epoch(BATCH_SIZE, np.random.default_rng(0))):
        if number % 100 == 0:
            found = resident()
            most_own, most_mapped = max(most_own, found["RssAnon"]), max(most_mapped, found["RssFile"])
    return bare, most_own, most_mapped, time.perf_counter() - began


def resident() -> dict[str, float]:
    """Memory of this process by kind, MiB."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return {name: int(kib) / 1024 for name, kib in re.findall(r"^(Rss\w+):\s+(\d+) kB", status, re.MULTILINE)}


if __name__ == "__main__":
    main()
