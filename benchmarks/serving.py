"""What an answer costs: `python -m benchmarks.serving`.

Beauty's catalogue size and a million items, FAME with D 64 on random weights, histories of 1 to 50 items, top 10,
exact scores of all items, through the same code that is served (`fame.recommend.Recommender`): one user at a time
(latency), and batches (users a second). Two threads. What HTTP and MLflow's scoring server add is not in it.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np
import torch

from benchmarks.harness import Row, publish
from fame.config_tree import experiment_from_dict, to_dict
from fame.export import Catalogue, ExportedModel
from fame.model import Fame
from fame.recommend import Recommender

SIZES = (12_101, 1_000_000)
THREADS, TOP, BATCH = 2, 10, 64
SETTINGS = experiment_from_dict({"model": {"name": "fame", "dim": 64, "heads": 2, "experts": 4}})


def recommender(item_count: int) -> Recommender:
    """A model of random weights, as if it had been exported."""
    torch.manual_seed(0)
    model = Fame(SETTINGS.model, item_count, SETTINGS.data.max_length).eval()
    ids = list(range(1, item_count + 1))
    catalogue = Catalogue(ids=ids, titles=[f"item {id}" for id in ids], counts=ids)
    return Recommender(ExportedModel(model=model, experiment=SETTINGS, catalogue=catalogue))


def histories(count: int, item_count: int) -> list[list[int]]:
    """Histories of random items, as long as Beauty's: 8.9 on average, at most 50."""
    random = np.random.default_rng(0)
    lengths = np.minimum(3 + random.geometric(1 / 6, count), SETTINGS.data.max_length)
    return [random.integers(1, item_count + 1, length).tolist() for length in lengths]


def latencies(work: Callable[[list[list[int]]], object], batches: list[list[list[int]]], warmup: int) -> np.ndarray:
    """Milliseconds of each batch after the first `warmup`."""
    found = []
    for batch in batches:
        began = time.perf_counter()
        work(batch)
        found.append((time.perf_counter() - began) * 1000)
    return np.array(found[warmup:])


def rows_of(item_count: int, rounds: int) -> list[Row]:
    server = recommender(item_count)

    def work(batch: list[list[int]]) -> None:
        server.recommend(batch, TOP)

    users = histories(rounds + 5, item_count)
    alone = latencies(work, [[user] for user in users], warmup=5)
    many = histories(BATCH * (rounds // 8 + 2), item_count)
    batches = latencies(work, [many[start : start + BATCH] for start in range(0, len(many), BATCH)], warmup=2)
    size = f"{item_count:,} items"
    return [
        Row(what=f"{size}, one user, p50", value=float(np.percentile(alone, 50)), unit="ms"),
        Row(what=f"{size}, one user, p99", value=float(np.percentile(alone, 99)), unit="ms"),
        Row(what=f"{size}, one user after the other", value=1000 / alone.mean(), unit="users/s"),
        Row(what=f"{size}, batches of {BATCH}, p50 of a batch", value=float(np.percentile(batches, 50)), unit="ms"),
        Row(what=f"{size}, batches of {BATCH}, p99 of a batch", value=float(np.percentile(batches, 99)), unit="ms"),
        Row(what=f"{size}, batches of {BATCH}", value=BATCH * 1000 / batches.mean(), unit="users/s"),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=400, help="users asked alone (default: %(default)s)")
    args = parser.parse_args()
    torch.set_num_threads(THREADS)
    rows = [row for item_count in SIZES for row in rows_of(item_count, args.rounds)]
    publish("serving", rows, {"threads": THREADS, "top": TOP, "experiment": to_dict(SETTINGS)})


if __name__ == "__main__":
    main()
