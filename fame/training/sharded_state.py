"""The state of a training whose item table lies on several workers: whole in the checkpoint, a stretch on each worker.

So a file does not show how many workers wrote it, and any number of them can go on from it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from torch import Tensor

from fame.runtime.sharding import Shard

if TYPE_CHECKING:
    from fame.training.loop import StageRun


def whole(run: StageRun, tensors: Mapping[str, Tensor]) -> dict[str, Tensor | Shard]:
    """A checkpoint's tensors, of which those with the table's rows are to be written by all workers together."""
    found: dict[str, Tensor | Shard] = dict(tensors)
    if run.sharded is not None:
        stretch, device = run.sharded.stretch, run.workers.device
        found |= {key: Shard(tensors[key], stretch, device) for key in _names(run) if key in tensors}
    return found


def own(run: StageRun, tensors: Mapping[str, Tensor], prefix: str = "") -> dict[str, Tensor]:
    """This worker's part of a checkpoint's tensors, from whose names `prefix` was taken."""
    found = dict(tensors)
    if run.sharded is not None:
        keys = {key.removeprefix(prefix) for key in _names(run) if key.startswith(prefix)}
        found |= {key: tensors[key][run.sharded.stretch.own].clone() for key in keys & tensors.keys()}
    return found


def _names(run: StageRun) -> list[str]:
    """Names in a checkpoint of what has the table's rows."""
    assert run.sharded is not None
    parameters = list(run.model.named_parameters())
    (index,) = (place for place, (_, weight) in enumerate(parameters) if weight is run.sharded.weight)
    name, state = parameters[index][0], f"optimizer.{index}."
    return [f"model.{name}", f"best.{name}", f"{state}exp_avg", f"{state}exp_avg_sq"]
