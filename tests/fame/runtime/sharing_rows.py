"""One of two gloo workers of `test_parallel.py`: `python -m tests.fame.runtime.sharing_rows FOLDER RANK`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch
from torch import Tensor, distributed, nn

from fame.runtime.parallel import Workers, gather_rows
from tests.fame.helpers import CPU

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


def main(folder: Path, rank: int) -> None:
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=2)
    workers = Workers.current(CPU)
    own = rows()[rank::2].requires_grad_()
    whole = gather_rows(own, workers.share, ROWS)
    (loss(whole) / workers.size).backward()
    table = lookup(rank, sparse=True)
    workers.average_rows(table)
    results = {
        "whole": whole.tolist(),
        "gradient": own.grad.tolist(),
        "averaged": table.weight.grad.to_dense().tolist(),
        "decided": [workers.decided(rank == 0), workers.decided(rank == 1)],
    }
    distributed.barrier()
    distributed.destroy_process_group()
    (folder / f"rank{rank}.json").write_text(json.dumps(results))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
