"""Tests of the assumptions of `tuning.ray_internals.train_errors` about Ray."""

from __future__ import annotations

from ray.train import ControllerError, WorkerGroupError

from tuning.ray_internals.train_errors import RayTrainError, WorkerHealthCheckFailedError


def test_ray_trains_errors_are_of_one_kind() -> None:
    assert all(issubclass(kind, RayTrainError) for kind in (ControllerError, WorkerGroupError))


def test_a_failed_health_check_carries_its_reason() -> None:
    reason = RuntimeError("why")
    assert WorkerHealthCheckFailedError("gone", reason).health_check_failure is reason
