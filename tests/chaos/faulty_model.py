"""A model with a defect, in the processes of a sweep that `faulty` has prepared.

It is FAME, with FAME's numbers, but for what the variable `FAULTS` says: by heads and experts of a trial, what
happens in its training, and when. Nothing in the product knows of it: Python itself puts it into the registry of
models (`sitecustomize`), where it takes the place of FAME. `PACE` makes every epoch longer by so many seconds.
"""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, distributed

from fame.datasets.batches import Batch
from fame.losses.objective import Objective
from fame.models.base import EXACT
from fame.models.fame import Fame, FameConfig
from fame.registry import models

FAULTS, PACE = "FAME_TEST_FAULTS", "FAME_TEST_PACE"


def fault_of(config: FameConfig) -> dict[str, Any]:
    return json.loads(os.environ[FAULTS]).get(f"H{config.heads} N{config.experts}", {})


class Faulty(Fame):
    """Meets its fault at the first step of the epoch that the fault names, counted in this process."""

    epochs, fresh = 0, False

    def train(self, mode: bool = True) -> Faulty:
        self.fresh = True  # the next step, if there is one, is the first of an epoch
        return super().train(mode)

    def forward(self, batch: Batch, objective: Objective = EXACT) -> Tensor:
        if self.fresh:
            time.sleep(float(os.environ.get(PACE, 0)))
        self.epochs, self.fresh = self.epochs + self.fresh, False
        loss, fault = super().forward(batch, objective), fault_of(self.config)
        if self.epochs != fault.get("epoch", 1) or not fault or not self._due(fault):
            return loss
        return globals()[fault["kind"]](loss)

    def _due(self, fault: dict[str, Any]) -> bool:
        rank = distributed.get_rank() if distributed.is_initialized() else 0
        if fault.get("rank", rank) != rank:
            return False
        if "once" not in fault:
            return True
        try:
            Path(fault["once"]).touch(exist_ok=False)
            return True
        except FileExistsError:
            return False


if FAULTS in os.environ:  # not where tests are collected: there FAME has to stay FAME
    models.entries["fame"] = Faulty


def not_a_number(loss: Tensor) -> Tensor:
    return loss * torch.nan


def host_memory(loss: Tensor) -> Tensor:
    """For real: torch's allocator asks for more than there is address space."""
    return loss + torch.empty(2**50).sum()


def cuda_memory(loss: Tensor) -> Tensor:
    """Raise torch's error of a full GPU."""
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB. GPU 0 has a total capacity of …")


def code(loss: Tensor) -> Tensor:
    return {}["a key that was mistyped"]


def stops(loss: Tensor) -> Tensor:
    """The whole process, threads of Ray's and all, as in a system call that never returns."""
    os.kill(os.getpid(), signal.SIGSTOP)
    return loss


def loops(loss: Tensor) -> Tensor:
    while True:
        pass
