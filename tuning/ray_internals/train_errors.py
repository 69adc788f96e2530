"""Errors of Ray Train that its public modules do not name.

Assumptions: every error of Ray Train is a `RayTrainError`, and a failed health check carries its reason as
`health_check_failure`.
"""

from ray.train.v2._internal.exceptions import RayTrainError, WorkerHealthCheckFailedError

__all__ = ["RayTrainError", "WorkerHealthCheckFailedError"]
