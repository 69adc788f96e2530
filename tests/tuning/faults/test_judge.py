from __future__ import annotations

import errno
from pathlib import Path

import pytest
import torch
from ray.exceptions import ActorDiedError, OutOfMemoryError, RayTaskError, WorkerCrashedError
from ray.train import ControllerError, WorkerGroupError
from ray.train.v2._internal.exceptions import WorkerHealthCheckFailedError
from ray.tune.utils import flatten_dict

from fame.errors import DivergedError, UserError
from tuning.faults import Fault, end
from tuning.faults.judge import judge, judge_text
from tuning.ray_internals.memory_monitor import KilledForMemoryError

MONITOR = "Task was killed due to the node running low on memory.\nMemory on the node was 7.6GB / 8.0GB"


def real_allocator_error() -> Exception:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**50)
    return caught.value


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (MemoryError(), "infeasible"),
        (real_allocator_error(), "infeasible"),
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB"), "infeasible"),
        (OutOfMemoryError(MONITOR), "infeasible"),
        (KilledForMemoryError(MONITOR), "infeasible"),
        (DivergedError("the loss of epoch 3 is nan"), "diverged"),
        (ActorDiedError(), "lost"),
        (WorkerCrashedError(), "lost"),
        (RuntimeError("[gloo/transport/tcp/pair.cc:534] Connection closed by peer [127.0.0.1]:2"), "lost"),
        (KeyError("oh"), "failed"),
        (UserError("model.heads = 3: must divide model.dim = 16"), "failed"),
        (OSError(errno.ENOENT, "No such file"), "failed"),
        (OSError(errno.ENOSPC, "No space left on device"), "storage"),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), "storage"),
        (OSError(errno.EROFS, "Read-only file system"), "storage"),
        (OSError("When reading: AWS Error NETWORK_CONNECTION during HeadObject operation: curlCode: 7"), "storage"),
        (OSError("google::cloud::Status(UNAVAILABLE: Retry policy exhausted)"), "storage"),
    ],
)
def test_each_exception_has_a_kind_wherever_it_comes_from(error: Exception, kind: str) -> None:
    fault = judge(error)
    assert fault.kind == kind and fault.reason and "\n" not in fault.reason
    assert judge(WorkerGroupError("", {1: error})) == fault
    assert judge(ControllerError(error)) == fault
    assert judge(RayTaskError("train", "Traceback\n", error).as_instanceof_cause()) == fault
    assert judge(WorkerGroupError("", {0: WorkerHealthCheckFailedError("A worker died", error)})) == fault
    # Another worker that waited for this one is cut off, or killed.
    followed = WorkerGroupError("", {0: ActorDiedError(), 1: error})
    assert judge(followed).kind == kind


def test_the_reason_is_the_last_line_of_the_traceback() -> None:
    assert judge(KeyError("oh")).reason == "KeyError: 'oh'"
    assert judge(MemoryError()).reason == "MemoryError"
    assert judge(UserError("size = 0: must be positive")).reason == "size = 0: must be positive"
    assert judge(RayTaskError("train", "Traceback:\n  here\nOddError: unpicklable\n", None)) == Fault(
        kind="failed", reason="OddError: unpicklable"
    )


def test_what_cannot_be_written_is_named_with_its_free_space(tmp_path: Path) -> None:
    error = OSError(errno.ENOSPC, "No space left on device", str(tmp_path / "new" / "file"))
    reason = judge(error, "elsewhere").reason
    assert reason.startswith(f"{tmp_path}/new/file: no space left on the device (") and reason.endswith(" MiB free)")
    assert judge(OSError(errno.EROFS, ""), "s3://bucket/x").reason == "s3://bucket/x: the file system is read-only"


def test_what_tune_has_kept_as_text() -> None:
    assert judge_text(f"Failure # 1 (occurred at …)\n{MONITOR}\nRefer to the documentation") == Fault(
        kind="infeasible", reason=MONITOR.splitlines()[0]
    )
    assert judge_text("Failure # 1\nValueError: x\n") == Fault(kind="failed", reason="ValueError: x")


def test_a_fault_travels_in_a_report() -> None:
    fault = Fault(kind="infeasible", reason="RuntimeError: can't allocate memory: 4 bytes")
    report = end(fault, 3, "hr@10")
    assert Fault.of(report) == Fault.of(flatten_dict(report)) == Fault.of({"fault": str(fault)}) == fault
    assert Fault.of({"epoch": 1}) is None and Fault.of(None) is None
