from __future__ import annotations

from types import SimpleNamespace

from ray.air.execution._internal.actor_manager import RayActorManager
from ray.exceptions import OutOfMemoryError, RayActorError, RayTaskError

from tuning.ray_internals.memory_monitor import KilledForMemoryError, survive_the_memory_monitor


def told(error: Exception) -> list[tuple[str, Exception]]:
    """Call the patched method by keywords, as Ray does when an actor's task ended with `error`."""
    survive_the_memory_monitor()
    heard: list[tuple[str, Exception]] = []
    manager = RayActorManager(resource_manager=SimpleNamespace(free_resources=lambda acquired_resource: None))
    actor = SimpleNamespace(actor_id="a", _on_error=lambda actor, why: heard.append(("actor", why)))
    task = SimpleNamespace(_tracked_actor=actor, _on_error=lambda actor, why: heard.append(("task", why)))
    manager._cleanup_actor = lambda tracked_actor: None
    manager._actor_task_failed(tracked_actor_task=task, exception=error)
    return heard


def test_the_memory_monitors_kill_is_told_to_tune_as_the_death_of_an_actor() -> None:
    heard = told(OutOfMemoryError("Task was killed due to the node running low on memory."))
    assert heard and all(isinstance(why, KilledForMemoryError) for _, why in heard)
    assert "low on memory" in str(heard[0][1])


def test_other_errors_are_told_as_they_are() -> None:
    died, raised = RayActorError(error_msg="gone"), RayTaskError("train", "traceback", ValueError("x"))
    assert all(why is died for _, why in told(died))
    assert told(raised) == [("task", raised)]
