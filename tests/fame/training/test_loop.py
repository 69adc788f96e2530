"""One epoch of one stage, as a device sees it."""

from __future__ import annotations

from collections import Counter

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from fame.runtime.parallel import Workers
from fame.training.loop import StageRun
from fame.training.stages import stages
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


class Summed:
    """Stands in for the optimiser: weights stay, and the steps' gradients are added up."""

    def __init__(self, model: torch.nn.Module) -> None:
        self.model, self.total, self.steps = model, {}, 0
        self.param_groups = [{"lr": 0.0}]

    def step(self) -> None:
        self.steps += 1
        for name, weight in self.model.named_parameters():
            grad = weight.grad.to_dense() if weight.grad.is_sparse else weight.grad
            self.total[name] = self.total.get(name, 0) + grad

    def zero_grad(self, set_to_none: bool) -> None:
        self.model.zero_grad(set_to_none=set_to_none)


@pytest.mark.parametrize("mode", ["all", "prefix"])
@pytest.mark.parametrize("name", ["fame", "cl4srec"])
def test_every_target_of_an_epoch_weighs_the_same_in_long_and_short_batches(mode, name, tiny):
    """The mean gradient of an epoch's steps is that of the mean loss over all targets, whatever the batches."""
    means = []
    for batch_size in (4, len(tiny) * 100):
        still = {"dropout": 0.0, "attention_dropout": 0.0}
        if name == "cl4srec":  # its contrast is between the rows of a batch, so only its softmax can agree
            still["contrast_weight"] = 0.0
        settings = experiment(
            model={"name": name, **still}, train={"mode": mode, "batch_size": batch_size, "clip_norm": 0}
        )
        run = StageRun(settings, stages(settings)[0], tiny, Workers(device=CPU), {}, None)
        run.optimizer = Summed(run.model)
        run.train_epoch(1, 0)
        means.append({key: total / run.optimizer.steps for key, total in run.optimizer.total.items()})
    assert run.optimizer.steps == 1
    for key, whole in means[1].items():
        torch.testing.assert_close(
            means[0][key], whole, rtol=1e-4, atol=1e-6, msg=lambda text, key=key: f"{key}: {text}"
        )
