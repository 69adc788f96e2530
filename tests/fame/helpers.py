"""Small sequences, experiments and models for tests."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from hypothesis import strategies as st
from torch import Tensor, nn

from fame.config import Experiment
from fame.config.tree import experiment_from_dict
from fame.datasets.batches import Batch
from fame.datasets.sequences import Sequences

CPU = torch.device("cpu")
ROOT = Path(__file__).parents[2]
TIMINGS = ("train_seconds", "evaluate_seconds", "items_per_second")


def sequences_of(users: Sequence[Sequence[int]], item_count: int | None = None) -> Sequences:
    """`Sequences` from one list of items per user."""
    values = np.array([item for user in users for item in user], dtype=np.int32)
    offsets = np.cumsum([0, *map(len, users)], dtype=np.int64)
    return Sequences(values=values, offsets=offsets, item_count=item_count or int(values.max()))


def split_sequences(
    users: Sequence[tuple[Sequence[int], Sequence[int], Sequence[int]]], item_count: int | None = None
) -> Sequences:
    """`Sequences` from the items of each user's training, validation and test part."""
    values = np.array([item for user in users for part in user for item in part], dtype=np.int32)
    lengths = np.array([[len(part) for part in user] for user in users], dtype=np.int64).reshape(-1, 3)
    ends = np.cumsum(lengths).reshape(-1, 3)
    return Sequences(
        values=values,
        offsets=np.concatenate([[0], ends[:, 2]]).astype(np.int64),
        item_count=item_count or int(values.max()),
        validation=ends[:, 0],
        test=ends[:, 1],
    )


def cyclic_sequences(*, users: int, item_count: int, longest: int, seed: int) -> Sequences:
    """Users who step from item to item + 1, with a jump now and then: easy to learn, not trivial."""
    generator = np.random.default_rng(seed)
    lists = []
    for _ in range(users):
        steps = np.where(
            generator.random(generator.integers(3, longest + 1)) < 0.1, generator.integers(1, item_count), 1
        )
        lists.append(((generator.integers(item_count) + np.cumsum(steps)) % item_count + 1).tolist())
    return sequences_of(lists, item_count)


def jagged(item_count: int = 9, shortest: int = 3, longest: int = 17) -> st.SearchStrategy[Sequences]:
    """Random sequences of 1 to 6 users; items repeat."""
    user = st.lists(st.integers(1, item_count), min_size=shortest, max_size=longest)
    return st.lists(user, min_size=1, max_size=6).map(lambda users: sequences_of(users, item_count))


def experiment(**sections: Any) -> Experiment:
    """A tiny experiment; each keyword is a section whose keys replace the ones below."""
    tree: dict[str, Any] = {
        "data": {"max_length": 6, "fingerprint": "tiny"},
        "model": {"dim": 8, "heads": 2, "blocks": 2, "inner": 2, "dropout": 0.2, "attention_dropout": 0.2},
        "train": {"epochs": 6, "batch_size": 16, "lr": 0.01, "precision": "float32", "patience": 0},
    }
    for name, values in sections.items():
        tree[name] = {**tree.get(name, {}), **values} if isinstance(values, dict) else values
    return experiment_from_dict(tree)


def timeless(report: Any) -> dict[str, Any]:
    """A report without the fields that two equal trainings may differ in."""
    return {key: value for key, value in dataclasses.asdict(report).items() if key not in TIMINGS}


def randomise(module: nn.Module, seed: int, std: float = 0.3) -> nn.Module:
    """Every weight, biases and norms too, random, in float64 and evaluation mode."""
    generator = torch.Generator().manual_seed(seed)
    module = module.double().eval()
    with torch.no_grad():
        for name, weight in module.named_parameters():
            weight.copy_(torch.randn(weight.shape, generator=generator, dtype=torch.float64) * std)
            if "norm" in name and name.endswith("weight"):
                weight.add_(1)
    return module


def random_rows(batch: int, longest: int, item_count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Items [B, T] padded on the right with 0, one row as long as can be, and lengths [B]."""
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.randint(1, longest + 1, (batch,), generator=generator)
    lengths[0] = longest
    items = torch.randint(1, item_count + 1, (batch, longest), generator=generator)
    return torch.where(torch.arange(longest) < lengths[:, None], items, 0), lengths


def last_batch(items_BT: Tensor, lengths_B: Tensor, targets_B: Tensor) -> Batch:
    """A batch of mode `prefix` that is a worker's own."""
    rows = len(items_BT)
    return Batch(
        items_BT=items_BT,
        lengths_B=lengths_B,
        counts_B=torch.ones_like(lengths_B),
        targets_R=targets_B,
        positions_R=None,
        last_only=True,
        target_count=rows,
        mean_targets=rows,
        windows=np.arange(rows),
        row_count=rows,
        share=(0, 1),
    )


def same_tensors(left: dict[str, Tensor], right: dict[str, Tensor]) -> bool:
    """Whether two sets of tensors have the same names and are equal bit for bit."""
    return left.keys() == right.keys() and all(torch.equal(left[key], right[key]) for key in left)
