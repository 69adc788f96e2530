"""One of two gloo workers of `test_conformance.py`: `python -m tests.fame.conformance_workers FOLDER RANK`.

Both train every registered model as `conformance.py` does, without dropout, and share rows as contrastive losses do.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch
from torch import Tensor, distributed

from fame.registry import models
from fame.runtime.parallel import Workers, gather_rows
from fame.training.fit import fit
from tests.fame.conformance import data, two_worker_experiment
from tests.fame.helpers import CPU, timeless

ROWS = 5
"""Of the batch whose rows are shared: the first worker has three of them."""


def rows() -> Tensor:
    return torch.arange(2.0 * ROWS).view(ROWS, 2) / 10


def loss(whole_RD: Tensor) -> Tensor:
    """A function of all pairs of rows."""
    return (whole_RD @ whole_RD.T).log_softmax(1).diagonal().sum()


def main(folder: Path, rank: int) -> None:
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=2)
    workers = Workers.current(CPU)
    results = {}
    for name in models.names():
        reports = fit(two_worker_experiment(name), data(), folder / name, workers)
        results[name] = [timeless(report) for report in reports]
    own = rows()[rank::2].requires_grad_()
    whole = gather_rows(own, workers.share, ROWS)
    (loss(whole) / workers.size).backward()
    results["rows"] = {"whole": whole.tolist(), "gradient": own.grad.tolist()}
    distributed.barrier()
    distributed.destroy_process_group()
    (folder / f"rank{rank}.json").write_text(json.dumps(results))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
