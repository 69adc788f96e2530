"""Experiments and data of trainings that are compared."""

from __future__ import annotations

from pathlib import Path

import torch

from fame.artifacts.checkpoint import load_checkpoint
from fame.config import Experiment
from fame.datasets.sequences import Sequences
from fame.training.fit import CHECKPOINT, read_trained
from tests.fame.helpers import cyclic_sequences, experiment, same_tensors, sequences_of, timeless

TWO_STAGES = experiment(train={"epochs": 2}, backbone={"epochs": 2, "lr": 0.02})


def tensors_in(folder: Path) -> dict[str, torch.Tensor]:
    return load_checkpoint(folder / CHECKPOINT)[0]


def assert_same_training(folder: Path, other: Path) -> None:
    """Reports without times, weights, optimiser state and best weights: equal bit for bit."""
    assert [*map(timeless, read_trained(folder).history)] == [*map(timeless, read_trained(other).history)]
    assert same_tensors(tensors_in(folder), tensors_in(other))


def worker_settings(train: dict, **model) -> Experiment:
    """Batches of 9 do not divide by two, and the last one of an epoch may have a single row."""
    return experiment(
        data={"max_length": 5},
        model={"dropout": 0.0, "attention_dropout": 0.0, **model},
        train={"epochs": 2, "batch_size": 9, **train},
    )


WORKER_RUNS = {
    "all": worker_settings({"mode": "all"}),
    "prefix": worker_settings({"mode": "prefix"}),
    "absolute": worker_settings({"mode": "all"}, positions="absolute", attention_residual=False, facet_norm="facet"),
    "sampled_softmax": worker_settings({"loss": "sampled_softmax", "negatives": 6, "clip_norm": 0.1}),
    "sharded": worker_settings({"loss": "sampled_softmax", "negatives": 6, "clip_norm": 0.1, "shard_items": True}),
    "sharded gbce": worker_settings({"loss": "gbce", "negatives": 6, "weight_decay": 0.01, "shard_items": True}),
    "gbce": worker_settings({"loss": "gbce", "negatives": 6, "mode": "prefix", "weight_decay": 0.01}),
}


WITH_DROPOUT = experiment(train={"epochs": 2, "loss": "sampled_softmax", "negatives": 6})


def worker_data() -> Sequences:
    """37 windows of mode `all`: batches of 9 leave one row over, and the second worker has none."""
    sequences = cyclic_sequences(users=37, item_count=20, longest=8, seed=3)
    lists = [(sequences[user].tolist() * 4)[: max(4, len(sequences[user]))] for user in range(37)]
    return sequences_of(lists, 20)


SAMPLE = 15
"""Users of `worker_data` that are sampled."""
