"""One of two gloo workers of `test_parallel.py`: `python -m tests.fame.runtime.sharing_rows FOLDER RANK COUNT`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from fame.runtime.parallel import Workers, gather_rows
from tests.fame.gloo import run_worker

ROWS = 5
"""Rows of the batch that the workers share: the first one has three of them."""


def rows() -> Tensor:
    return torch.arange(2.0 * ROWS).view(ROWS, 2) / 10


def loss(whole_RD: Tensor) -> Tensor:
    """A function of all pairs of rows."""
    return (whole_RD @ whole_RD.T).log_softmax(1).diagonal().sum()


def lookup(rank: int, sparse: bool) -> nn.Embedding:
    """A table with a worker's gradient: the workers look up other rows, and not equally many."""
    torch.manual_seed(0)
    table = nn.Embedding(6, 2, sparse=sparse)
    looked_up = table(torch.tensor([[1, 1, 4], [0]][rank]))
    (looked_up * (rank + 1)).sum().backward()
    return table


def work(folder: Path, workers: Workers) -> dict[str, Any]:
    own = rows()[workers.rank :: 2].requires_grad_()
    whole = gather_rows(own, workers.share, ROWS)
    (loss(whole) / workers.size).backward()
    table = lookup(workers.rank, sparse=True)
    workers.average_rows(table)
    return {
        "whole": whole.tolist(),
        "gradient": own.grad.tolist(),
        "averaged": table.weight.grad.to_dense().tolist(),
        "decided": [workers.decided(workers.rank == 0), workers.decided(workers.rank == 1)],
    }


if __name__ == "__main__":
    run_worker(work)
