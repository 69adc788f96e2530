"""Pieces of a training, cut out so that they can be timed: some steps, one evaluation."""

from __future__ import annotations

import multiprocessing
import socket
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import numpy as np
import torch
from torch import distributed

from benchmarks.beauty import PAIRS
from fame.config.tree import experiment_from_dict
from fame.datasets.batches import Batch
from fame.datasets.sequences import Sequences
from fame.runtime.parallel import Workers
from fame.training.loop import StageRun
from fame.training.stages import stages

RECBOLE_PAIRS = 2048
"""Pairs of a step by RecBole's default; a step of as many is what compares with it."""
RECBOLE_SEQUENCES = 350
"""Sequences of Beauty that have about as many pairs."""


def in_workers(work: Callable[..., Any], count: int, *args: Any) -> list[Any]:
    """`work(*args)` in so many new processes at a time, of one thread each, which are the workers of one training."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with multiprocessing.get_context("spawn").Pool(count) as pool:
        return pool.starmap(_as_worker, [(rank, count, port, work, args) for rank in range(count)], chunksize=1)


def _as_worker(rank: int, count: int, port: int, work: Callable[..., Any], args: Sequence[Any]) -> Any:
    torch.set_num_threads(1)
    store = distributed.TCPStore("127.0.0.1", port, count, is_master=rank == 0, timeout=timedelta(seconds=60))
    distributed.init_process_group("gloo", store=store, rank=rank, world_size=count)
    try:
        return work(*args)
    finally:
        distributed.destroy_process_group()


def stage_run(sequences: Sequences, device: str = "cpu", **sections: dict[str, Any]) -> StageRun:
    """This worker's part of a training with the default settings (FAME, D 64, 2 blocks, H 2, N 4, T 50) but for those given."""
    experiment = experiment_from_dict(sections)
    return StageRun(experiment, stages(experiment)[0], sequences, Workers.current(torch.device(device)), {}, None)


def sample_batches(run: StageRun, pairs: int) -> list[Batch]:
    """Every so manieth batch of an epoch in the order of their lengths, with about so many pairs.

    Batches are of sequences of one length, so a few random ones would not stand for the epoch.
    """
    batches = list(run.batcher.epoch(run.stage.train.batch_size, np.random.default_rng(0)))
    batches.sort(key=lambda batch: batch.items_BT.numel())
    every = max(1, round(sum(batch.target_count for batch in batches) / pairs))
    return batches[every // 2 :: every]


def steps(run: StageRun, batches: list[Batch]) -> Callable[[], None]:
    """Training steps over the batches, as an epoch does them."""

    def work() -> None:
        run.wrapped.train()
        for batch in batches:
            run.step(batch)

    return work


def epoch_share(batches: list[Batch]) -> float:
    """How often the batches' pairs make an epoch of Beauty."""
    return PAIRS / sum(batch.target_count for batch in batches)
