"""A worker's own part of a checkpoint, and the file that the workers write together; `test_fit.py` has the files."""

from __future__ import annotations

from types import SimpleNamespace

import torch
from torch import nn

from fame.runtime.sharding import Shard, ShardedEmbedding
from fame.training.sharded_state import own, whole
from tests.fame.helpers import CPU

ROWS = torch.arange(10.0).view(5, 2)


def run_of(rank: int | None) -> SimpleNamespace:
    """A stage's run with a table of five rows and another weight before it; None: a worker alone."""
    items = nn.Embedding.from_pretrained(ROWS, padding_idx=0)
    if rank is not None:
        items = ShardedEmbedding(items, rank, 2)
    model = nn.ModuleDict({"first": nn.Linear(2, 2), "table": items})
    return SimpleNamespace(model=model, sharded=None if rank is None else items, workers=SimpleNamespace(device=CPU))


def checkpoint() -> dict[str, torch.Tensor]:
    rows = dict.fromkeys(("model.table.weight", "best.table.weight", "optimizer.2.exp_avg"), ROWS)
    others = {
        "model.first.bias": torch.ones(2),
        "optimizer.1.exp_avg": torch.ones(2),
        "optimizer.2.step": torch.ones(()),
    }
    return rows | others


def test_a_worker_takes_its_rows_of_the_table_and_of_its_state_and_all_of_the_rest():
    for rank, stretch in ((0, slice(0, 3)), (1, slice(3, 5))):
        found = own(run_of(rank), checkpoint())
        assert {key for key, tensor in found.items() if torch.equal(tensor, ROWS[stretch])} == {
            "model.table.weight", "best.table.weight", "optimizer.2.exp_avg"
        }  # fmt: skip
        assert all(torch.equal(found[key], tensor) for key, tensor in checkpoint().items() if tensor.ndim < 2)
    best = own(run_of(1), {"table.weight": ROWS, "first.bias": torch.ones(2)}, "best.")
    assert torch.equal(best["table.weight"], ROWS[3:]) and torch.equal(best["first.bias"], torch.ones(2))


def test_the_table_and_its_state_are_written_together_in_their_place():
    run = run_of(1)
    found = whole(run, own(run, checkpoint()))
    assert list(found) == list(checkpoint())
    shards = {key: shard for key, shard in found.items() if isinstance(shard, Shard)}
    assert set(shards) == {"model.table.weight", "best.table.weight", "optimizer.2.exp_avg"}
    assert {(shard.shape, shard.numel(), shard.dtype) for shard in shards.values()} == {((5, 2), 10, torch.float32)}


def test_a_worker_alone_has_everything():
    assert whole(run_of(None), checkpoint()).keys() == own(run_of(None), checkpoint()).keys() == checkpoint().keys()
    assert all(torch.equal(own(run_of(None), checkpoint())[key], tensor) for key, tensor in checkpoint().items())
