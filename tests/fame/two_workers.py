"""One of two gloo workers of `test_fit.py`: `python -m tests.fame.two_workers FOLDER RANK COUNT`."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import torch
from torch import distributed

from fame.artifacts import LocalFolder
from fame.datasets.batches import device_values
from fame.errors import DivergedError
from fame.evaluation.evaluator import Evaluator
from fame.registry import models
from fame.runtime.parallel import Workers
from fame.training.fit import fit, read_trained
from fame.training.loop import StageRun, State
from fame.training.stages import stages
from tests.fame.gloo import run_worker
from tests.fame.helpers import CPU, timeless
from tests.fame.training.runs import SAMPLE, TWO_STAGES, WITH_DROPOUT, WORKER_RUNS, worker_data


def work(folder: Path, workers: Workers) -> dict[str, Any]:
    sequences, results = worker_data(), {}
    for name, settings in WORKER_RUNS.items():
        results[name] = [timeless(report) for report in fit(settings, sequences, folder / name, workers)]

    for name in ("half", "crashed sharded"):
        first = fit(WORKER_RUNS["sharded"], sequences, folder / name, workers)
        next(first)
        del first
        distributed.barrier()
    list(fit(WORKER_RUNS["sharded"], sequences, folder / "crashed sharded", workers))

    settings = WORKER_RUNS["all"]
    model = models.get("fame")(settings.model, sequences.item_count, 5)
    model.load_state_dict(read_trained(folder / "all").weights)
    for part in ("validation", "test"):
        evaluator = Evaluator(sequences, device_values(sequences, CPU), part, 5, settings.evaluate, workers)
        results[f"evaluate {part}"] = evaluator.metrics(model)
    sample = Evaluator(
        sequences, device_values(sequences, CPU), "validation", 5, settings.evaluate, workers, ["ndcg@10"], SAMPLE
    )
    results["sample"] = sample.metrics_and_error(model, "ndcg@10")

    run = StageRun(settings, stages(settings)[0], sequences, workers, {}, None)
    list(run.epochs(State(), last_stage=True))
    weights = torch.cat([weight.flatten() for weight in run.model.state_dict().values()])
    results["weights"] = hashlib.sha256(weights.numpy().tobytes()).hexdigest()

    if workers.rank == 1:  # a fault of one worker alone
        with torch.no_grad():
            model.facet_projection.fill_(float("nan"))
    try:
        evaluator.metrics(model)
    except DivergedError as error:
        results["bad scores"] = type(error).__name__

    shared = LocalFolder(folder / "stages")
    for name in ("computed", "taken over"):
        reports = fit(TWO_STAGES, sequences, folder / name, workers, None, shared)
        results[name] = [timeless(report) for report in reports]

    list(fit(WITH_DROPOUT, sequences, folder / "straight", workers))
    first = fit(WITH_DROPOUT, sequences, folder / "crashed", workers)
    next(first)
    del first
    distributed.barrier()
    list(fit(WITH_DROPOUT, sequences, folder / "crashed", workers))
    return results


if __name__ == "__main__":
    run_worker(work)
