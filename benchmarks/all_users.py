"""Recommend to everybody: `python -m benchmarks.all_users`, 100,000 users and 100,000 items on two cores.

Beside it stand the bare product of the same queries and the same table, tile by tile, and the product with `topk`. The model is
FAME with default settings and random weights, in a folder as a training exports it; the histories are random, too.
CPU seconds are compared: other programs of the machine do not count.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from benchmarks.harness import Row, add_tiny, in_own_process, peak_memory, publish
from fame.artifacts.checkpoint import save_checkpoint
from fame.config import Experiment
from fame.config.tree import to_dict, write_yaml
from fame.errors import run_command
from fame.models.fame import Fame
from fame.recommend import sleep_between_products
from fame.registry import models
from fame.serving.bulk import Job, here, write_recommendations
from fame.serving.histories import Histories
from fame.serving.recommender import load_recommender
from fame.serving.request import Request

THREADS, TOP, TILE_USERS, MEAN_LENGTH = 2, 10, 128, 9


def exported(folder: Path, items: int) -> Path:
    """Write a model without a training."""
    experiment = Experiment()
    torch.manual_seed(0)
    model = models.get("fame")(experiment.model, items, experiment.data.max_length)
    assert isinstance(model, Fame)
    header = {"model": "fame", "item_count": items, "max_length": experiment.data.max_length, "facets": []}
    save_checkpoint(folder / "model.safetensors", model.state_dict(), header)
    (folder / "config.yaml").write_text(write_yaml(to_dict(experiment)), encoding="utf-8")
    ids = list(range(1, items + 1))
    catalogue = {"ids": ids, "titles": [f"item {id}" for id in ids], "counts": ids}
    (folder / "items.json").write_text(json.dumps(catalogue), encoding="utf-8")
    return folder


def random_histories(users: int, items: int) -> Histories:
    generator = np.random.default_rng(0)
    lengths = generator.geometric(1 / MEAN_LENGTH, users)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    values = generator.integers(1, items + 1, offsets[-1], dtype=np.int32)
    return Histories(ids=np.arange(users), values=values, offsets=offsets)


def cpu_seconds(work: Callable[[], object]) -> tuple[float, float]:
    """CPU and wall seconds."""
    cpu, wall = time.process_time(), time.perf_counter()
    work()
    return time.process_time() - cpu, time.perf_counter() - wall


@torch.no_grad()
def measured(users: int, items: int) -> list[Row]:
    torch.set_num_threads(THREADS)
    with tempfile.TemporaryDirectory() as work:
        folder = exported(Path(work), items)
        recommender, histories = load_recommender(folder), random_histories(users, items)
        job, out = Job(folder=folder, histories=histories, request=Request(top=TOP)), Path(work) / "recs.parquet"

        def everybody() -> None:
            write_recommendations(job, out, lambda job, parts: here(job, parts, recommender), print, lambda users: None)

        whole, wall = cpu_seconds(everybody)
        memory = peak_memory()
    table_VD = recommender.scorer.table_VD.detach()  # type: ignore[attr-defined]
    queries_BD = torch.randn(users, table_VD.shape[1])
    buffer = torch.empty(TILE_USERS, items)

    def product(best: bool) -> None:
        for part_BD in queries_BD.split(TILE_USERS):
            scores_BV = torch.mm(part_BD, table_VD.T, out=buffer[: len(part_BD)])
            if best:
                scores_BV.topk(TOP)

    bare, _ = cpu_seconds(lambda: product(best=False))
    naive, _ = cpu_seconds(lambda: product(best=True))
    return [
        Row(what="everybody, a Parquet file at the end", value=whole, unit="CPU s"),
        Row(what="the same, wall time", value=wall, unit="s"),
        Row(what="users a second", value=users / wall, unit="users/s"),
        Row(what="the bare product", value=bare, unit="CPU s"),
        Row(what="the product and topk", value=naive, unit="CPU s"),
        Row(what="everybody ÷ the bare product", value=whole / bare),
        Row(what="everybody ÷ the product and topk", value=whole / naive, at_most=1.0),
        Row(what="peak memory", value=memory / 2**30, unit="GiB"),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--users", type=int, default=100_000, help="how many users (default: %(default)s)")
    parser.add_argument("--items", type=int, default=100_000, help="how many items (default: %(default)s)")
    add_tiny(parser)
    args = parser.parse_args()
    if args.tiny:
        args.users, args.items = 200, 300
    sleep_between_products()  # as the command does; it holds for processes that start from here on
    rows = in_own_process(measured, args.users, args.items)
    about = {"threads": THREADS, "top": TOP, "users": args.users, "items": args.items}
    publish("all_users", rows, about, args.tiny)


if __name__ == "__main__":
    run_command(main)
