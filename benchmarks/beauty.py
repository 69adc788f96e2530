"""The data that speed is measured on: Amazon Beauty, or random histories of its size.

Speed does not depend on which items follow each other, so a machine without the data measures the same.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.harness import add_tiny
from fame.datasets.sequences import Sequences

USERS, ITEMS, ACTIONS, SHORTEST = 22_363, 12_101, 198_502, 5
PAIRS = ACTIONS - 3 * USERS
"""(history → next item) pairs to train on: all but the first item of each user's training part."""


@dataclass(frozen=True, kw_only=True)
class Data:
    """Sequences, and what to call them in a result."""

    name: str
    sequences: Sequences


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--data-dir", type=Path, help="folder with the prepared Beauty (default: random data of its size)"
    )
    parser.add_argument("--threads", type=int, default=1, help="threads of PyTorch (default: %(default)s)")
    add_tiny(parser)


def load(data_dir: Path | None, tiny: bool = False) -> Data:
    """Beauty from a folder, or its random twin, or a few random histories."""
    if tiny:
        return Data(name="a few random histories", sequences=random_sequences(users=60, items=50, actions=600))
    if data_dir is None:
        return Data(name="random data of Beauty's size", sequences=random_sequences(USERS, ITEMS, ACTIONS))
    from fame.config import DataConfig
    from fame.datasets import load_dataset

    return Data(name="Beauty", sequences=load_dataset(DataConfig(name="beauty", dir=str(data_dir))).sequences)


def random_sequences(users: int, items: int, actions: int, seed: int = 0) -> Sequences:
    """Histories of at least five items with a long tail of lengths, over items of power-law popularity."""
    random = np.random.default_rng(seed)
    weights = random.lognormal(sigma=1.0, size=users)
    lengths = SHORTEST + random.multinomial(actions - SHORTEST * users, weights / weights.sum())
    popularity = np.cumsum(1 / np.arange(1, items + 1) ** 0.7)
    values = 1 + np.searchsorted(popularity, random.random(actions) * popularity[-1]).clip(max=items - 1)
    return Sequences(
        values=values.astype(np.int32), offsets=np.append(0, np.cumsum(lengths)).astype(np.int64), item_count=items
    )
