"""One epoch of one stage, as a device sees it."""

from __future__ import annotations

from collections import Counter

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from fame.parallel import Workers
from fame.pipeline import stages
from fame.stage import StageRun
from tests.fame.helpers import CPU, experiment

WAITS = ("local_scalar_dense", "nonzero", "masked_select", "unique", "equal", "is_nonzero")
"""Operations whose result the host has to have before it goes on: its value, or how large it is."""


class Waits(TorchDispatchMode):
    """Counts operations that would make the host wait for a GPU."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: Counter[str] = Counter()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        name = func.overloadpacket.__name__
        by_mask = name.startswith("index") and any(
            isinstance(t, torch.Tensor) and t.dtype == torch.bool
            for part in args[1:2]
            for t in (part if isinstance(part, list | tuple) else [part])
        )
        unknown_size = name == "repeat_interleave" and kwargs.get("output_size") is None
        if by_mask or unknown_size or name.lstrip("_") in WAITS or name.startswith(("unique", "_unique")):
            self.counts[name] += 1
        return func(*args, **kwargs)


@pytest.mark.parametrize("name", ["fame", "cl4srec", "duorec", "iclrec"])
@pytest.mark.parametrize("mode", ["all", "prefix"])
def test_the_host_waits_for_the_device_once_an_epoch(mode, name, tiny):
    settings = experiment(model={"name": name}, train={"mode": mode, "batch_size": 4})
    run = StageRun(settings, stages(settings)[0], tiny, Workers(device=CPU), {}, None)
    run.model.items.sparse = False  # as on a GPU
    with Waits() as waits:
        run.train_epoch(1, 0)
    assert dict(waits.counts) == {"_local_scalar_dense": 1}, "the mean loss, at the end, and nothing else"
