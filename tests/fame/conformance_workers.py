"""One of two gloo workers of `test_conformance.py`: `python -m tests.fame.conformance_workers FOLDER RANK`.

Both train every registered model as `conformance.py` does, without dropout.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch
from torch import distributed

from fame.registry import models
from fame.runtime.parallel import Workers
from fame.training.fit import fit
from tests.fame.conformance import data, sharded_experiment, two_worker_experiment
from tests.fame.helpers import CPU, timeless


def main(folder: Path, rank: int) -> None:
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=2)
    workers = Workers.current(CPU)
    results = {}
    for name in models.names():
        reports = fit(two_worker_experiment(name), data(), folder / name, workers)
        results[name] = [timeless(report) for report in reports]
        if models.get(name).shards_items():
            reports = fit(sharded_experiment(name), data(), folder / f"{name} sharded", workers)
            results[f"{name} sharded"] = [timeless(report) for report in reports]
    distributed.barrier()
    distributed.destroy_process_group()
    (folder / f"rank{rank}.json").write_text(json.dumps(results))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
