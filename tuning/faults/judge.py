"""Decides which kind of fault an exception is. No other module does."""

from __future__ import annotations

import torch
from ray.exceptions import OutOfMemoryError, RayError, RayTaskError
from ray.train import ControllerError, WorkerGroupError

from fame.errors import DivergedError, UserError
from fame.remote import explained
from tuning.faults.disk import cannot_write, described
from tuning.faults.fault import Fault, FaultKind
from tuning.ray_internals.memory_monitor import KilledForMemoryError
from tuning.ray_internals.train_errors import RayTrainError, WorkerHealthCheckFailedError
from tuning.storage.object_store import is_of_store

ALLOCATOR = "can't allocate memory"
"""Words in the message of torch's CPU allocator, which has no exception of its own."""
MONITOR = "running low on memory"
"""Words in Ray's message about a process that its memory monitor has killed."""
PEERS = ("gloo", "NCCL", "Connection reset by peer", "Connection closed by peer")
"""Words in the message of torch's collectives when another worker of the trial is gone."""
FIRST: tuple[FaultKind, ...] = ("infeasible", "storage", "diverged", "failed", "lost")
"""Order of the faults of a trial's workers: the first causes the others."""


def judge(error: BaseException, place: str | None = None) -> Fault:
    """Return the fault that an exception is. `place` is the place that was written to, if the exception names none."""
    if isinstance(error, WorkerGroupError):
        found = [judge(each, place) for each in error.worker_failures.values()]
        return min(found, key=lambda fault: FIRST.index(fault.kind))
    if isinstance(error, ControllerError):
        return judge(error.controller_failure, place)
    if isinstance(error, RayTaskError):
        # Without a cause if the exception could not be pickled: its traceback is there as text.
        last = str(error).strip().splitlines()[-1]
        return Fault(kind="failed", reason=last) if error.cause is None else judge(error.cause, place)
    if isinstance(error, WorkerHealthCheckFailedError):
        return judge(error.health_check_failure, place)
    if cannot_write(error):
        return Fault(kind="storage", reason=described(error, error.filename or place))
    if is_of_store(error):
        return Fault(kind="storage", reason=explained(error))
    return Fault(kind=_kind(error), reason=line(error))


def judge_text(text: str) -> Fault:
    """Return the fault of an error that Tune has as text only.

    These are kills by the memory monitor while an actor starts, and Tune's own errors.
    """
    lines = text.strip().splitlines() or ["no reason is known"]
    monitor = [line for line in lines if MONITOR in line]
    return Fault(kind="infeasible", reason=monitor[-1]) if monitor else Fault(kind="failed", reason=lines[-1])


def _kind(error: BaseException) -> FaultKind:
    text = str(error)
    if isinstance(error, (MemoryError, torch.OutOfMemoryError, OutOfMemoryError, KilledForMemoryError)):
        return "infeasible"
    if isinstance(error, RuntimeError) and ALLOCATOR in text:
        return "infeasible"
    if isinstance(error, DivergedError):
        return "diverged"
    if isinstance(error, (RayError, RayTrainError)):
        return "infeasible" if MONITOR in text else "lost"
    if isinstance(error, (RuntimeError, ConnectionError)) and any(word in text for word in PEERS):
        return "lost"
    return "failed"


def line(error: BaseException) -> str:
    """Return an exception as the last line of its traceback, without the module of its class."""
    text = " ".join(str(error).split())
    if isinstance(error, (DivergedError, UserError)):
        return text  # meant for people
    return ": ".join(filter(None, [type(error).__name__, text]))
