"""Trials that Ray's memory monitor kills, because their process would bring the whole machine down.

Tune (2.60) knows actors that died and tasks that raised. At this third kind of end it stops the whole sweep with
"Caught unexpected exception". Here the end becomes the death of an actor.

Assumption: `RayActorManager._actor_task_failed` gets the monitor's error as `exception`.
"""

from __future__ import annotations

from typing import Any

from ray.air.execution._internal import RayActorManager
from ray.exceptions import OutOfMemoryError, RayActorError


class KilledForMemoryError(RayActorError):
    """An actor was killed by the memory monitor."""

    def __init__(self, message: str) -> None:
        super().__init__(error_msg=message)


_actor_task_failed = RayActorManager._actor_task_failed


def _failed(manager: RayActorManager, tracked_actor_task: Any, exception: Exception) -> None:
    if isinstance(exception, OutOfMemoryError):
        exception = KilledForMemoryError(str(exception))
    _actor_task_failed(manager, tracked_actor_task, exception)


def survive_the_memory_monitor() -> None:
    """Patch Tune. Call it before Tune runs."""
    patched: Any = RayActorManager
    patched._actor_task_failed = _failed
