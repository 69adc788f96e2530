"""One of two gloo workers of `test_conformance.py`: `python -m tests.fame.conformance_workers FOLDER RANK COUNT`.

Both train every registered model as `conformance.py` does, without dropout.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fame.registry import models
from fame.runtime.parallel import Workers
from fame.training.fit import fit
from tests.fame.conformance import data, sharded_experiment, two_worker_experiment
from tests.fame.gloo import run_worker
from tests.fame.helpers import timeless


def work(folder: Path, workers: Workers) -> dict[str, Any]:
    results = {}
    for name in models.names():
        reports = fit(two_worker_experiment(name), data(), folder / name, workers)
        results[name] = [timeless(report) for report in reports]
        if models.get(name).shards_items():
            reports = fit(sharded_experiment(name), data(), folder / f"{name} sharded", workers)
            results[f"{name} sharded"] = [timeless(report) for report in reports]
    return results


if __name__ == "__main__":
    run_worker(work)
