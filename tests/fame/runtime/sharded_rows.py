"""One of four gloo workers of `test_sharding.py`: `python -m tests.fame.runtime.sharded_rows FOLDER RANK COUNT`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from fame.artifacts.checkpoint import send_shards, write_tensors
from fame.config import EvaluateConfig
from fame.datasets.batches import device_values
from fame.evaluation.evaluator import Evaluator
from fame.models.sasrec import SASRec, SASRecConfig
from fame.runtime import sharding
from fame.runtime.parallel import Workers
from fame.runtime.sharding import Shard
from fame.training.optimizer import clip_gradients
from tests.fame.gloo import run_worker
from tests.fame.helpers import CPU, cyclic_sequences

SIZE, MAX_NORM = 4, 0.5
ROWS = 6
"""Rows of the table: two on each worker but the last one, which has none."""
ASKED = [[[0, 1, 1], [5, 3, 0]], [[4], [4]], [[0], [0]], [[2, 1, 5, 4, 3], [5, 5, 5, 5, 5]]]
"""The lookups of each worker: padding, repetitions, rows of several workers."""


def table() -> nn.Embedding:
    torch.manual_seed(0)
    return nn.Embedding(ROWS, 3, padding_idx=0)


def loss(rows: Tensor, rank: int) -> Tensor:
    """A part of the loss whose gradient differs from row to row and from worker to worker."""
    return (rows.square() * torch.arange(1, rows.numel() + 1).view(rows.shape)).sum() * (rank + 1)


def model() -> SASRec:
    torch.manual_seed(0)
    return SASRec(SASRecConfig(dim=8, blocks=1), 13, 6).eval()


def ranks(of: SASRec, workers: Workers) -> list[float]:
    """Return the ranks of all users; some of the items are nobody's and left out."""
    sequences = cyclic_sequences(users=21, item_count=13, longest=8, seed=1)
    config = EvaluateConfig(candidates="known")
    evaluator = Evaluator(sequences, device_values(sequences, CPU), "test", 6, config, workers)
    return evaluator.by_target(evaluator.ranks(of)).tolist()


def work(folder: Path, workers: Workers) -> dict[str, Any]:
    holder = nn.Sequential(table())
    shared = workers.share_rows(holder, holder[0])
    assert holder[0] is shared
    items = torch.tensor(ASKED[workers.rank])
    rows = holder(items)
    loss(rows, workers.rank).backward()
    gradient = shared.weight.grad.to_dense()
    clip_gradients(holder.parameters(), MAX_NORM, shared)

    whole = model()
    alone = Workers(device=CPU)
    workers.share_rows(whole, whole.items)
    sharding.PIECE_BYTES = 12  # a row
    shards = {"table": Shard(shared.weight, shared.stretch, CPU), "other": torch.arange(3)}
    if workers.first:
        write_tensors(folder / "whole.safetensors", shards, {})
    else:
        send_shards(shards)
    results = {
        "rows": rows.tolist(),
        "stretch": [shared.stretch.own.start, shared.stretch.own.stop],
        "gradient": gradient.tolist(),
        "clipped": shared.weight.grad.to_dense().tolist(),
        "ranks": ranks(whole, alone),
    }
    with torch.no_grad():
        if workers.rank == 2:
            whole.items.weight[0] = np.nan
    results["finite"] = bool(whole.scorer().finite(torch.ones(2, 8)).any())
    return results


if __name__ == "__main__":
    run_worker(work)
