"""A TorchTrainer that runs within one actor of Tune: its controller in this process, its workers on Tune's resources.

Ray's own TorchTrainer starts up to six more processes for a run. These are its controller, a barrier, a manager of
datasets, a watcher of preemptions, one that gives resources back, and one that asks the autoscaler for resources. The
run waits for the last one. It also reserves its workers' resources beside Tune's. If a trial is killed, nobody gives
those back without Ray's dashboard (ray#65443). Here they are part of the placement group that Tune made for the trial's
actor, and takes back.

Assumptions: `fit` calls `_initialize_and_run_controller` with the arguments of `TrainController`, whose `run` needs an
event loop and no actor. A `WorkerGroup` takes its placement group from `_create_placement_group`, and the bundles
from 0 on. The barrier, `SynchronizationActor`, serves `ray.train.report` and collectives alone, and is made and killed by
the names patched below. A `ScalingPolicy` talks to the autoscaler in the two methods overridden below alone. A worker's
`execute` runs a function beside the training function.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from ray.actor import ActorHandle
from ray.train import Result
from ray.train.backend import Backend
from ray.train.torch import TorchConfig, TorchTrainer
from ray.train.v2._internal.callbacks.datasets import DatasetsCallback
from ray.train.v2._internal.callbacks.placement_group_callback import PlacementGroupCleanerCallback
from ray.train.v2._internal.execution.callback import WorkerGroupCallback
from ray.train.v2._internal.execution.context import TrainRunContext
from ray.train.v2._internal.execution.controller.controller import TrainController
from ray.train.v2._internal.execution.scaling_policy.fixed import FixedScalingPolicy
from ray.train.v2._internal.execution.worker_group import state, worker_group
from ray.train.v2._internal.execution.worker_group.placement_group_handle import (
    DefaultPlacementGroupHandle,
    PlacementGroupHandle,
)
from ray.train.v2._internal.execution.worker_group.worker_group import WorkerGroup
from ray.util.placement_group import PlacementGroup

ENVIRONMENT = {
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "1",  # a dead worker is noticed after that
    "RAY_TRAIN_ENABLE_PREEMPTION_WATCHER": "0",  # a process of its own for each trainer
    "RAY_TRAIN_METRICS_ENABLED": "0",
}
"""Variables of Ray Train that are read where `fit` runs."""
UNUSED = (PlacementGroupCleanerCallback, DatasetsCallback)
"""Parts of Ray's trainer with a process of their own."""


class SlotTrainer(TorchTrainer):
    """Runs the training function on workers in a placement group that somebody else has made."""

    def __init__(self, train_loop: Callable[..., None], group: PlacementGroup, **options: Any) -> None:
        super().__init__(train_loop, **options)
        self.group = group
        self.workers: Future[list[ActorHandle[Any]]] = Future()
        """The workers once they run the training function, by rank."""

    def _create_default_callbacks(self) -> list[Any]:
        own = [c for c in super()._create_default_callbacks() if not isinstance(c, UNUSED)]  # type: ignore[misc]
        return [*own, _Started(self.workers)]

    def _initialize_and_run_controller(self, **arguments: Any) -> Result:
        return asyncio.run(run_controller(self.group, arguments))


class LocalTorchConfig(TorchConfig):
    """torch for one worker: no process group, whose port would be open to the network."""

    @property
    def backend_cls(self) -> type[Backend]:
        return Backend


def call(worker: ActorHandle[Any], function: Callable[..., Any], *arguments: Any) -> Any:
    """Run a function in a worker's process, and return the reference to its result."""
    return worker.execute.remote(function, *arguments)


async def run_controller(group: PlacementGroup, arguments: dict[str, Any]) -> Result:
    os.environ.update(ENVIRONMENT)
    setattr(worker_group, "SynchronizationActor", NoBarrier)  # noqa: B010 - mypy refuses what it takes for a type
    setattr(state, "_shutdown_sync_actor", lambda barrier: None)  # noqa: B010
    arguments["scaling_policy"] = LentWorkers(arguments["scaling_policy"].scaling_config)
    controller: Any = TrainController(**arguments)
    controller.worker_group_cls = type("SlotWorkerGroup", (LentWorkerGroup,), {"lent": group})
    await controller.run()
    result: Result = controller.get_result()
    return result


class LentWorkers(FixedScalingPolicy):
    """As many workers as the resources that Tune has asked the autoscaler for."""

    def after_controller_start(self, train_run_context: TrainRunContext) -> None:
        pass

    def _maybe_send_resource_request(self) -> None:
        pass


class LentWorkerGroup(WorkerGroup):
    lent: PlacementGroup

    def _create_placement_group(self, *_: Any) -> PlacementGroupHandle:
        return LentHandle(self.lent)

    @staticmethod
    def _get_worker_runtime_env(custom_runtime_env: Any) -> dict[str, Any]:
        """Leave out what the controller alone reads: without variables a worker may take a process that waits for it."""
        environment = dict(WorkerGroup._get_worker_runtime_env(custom_runtime_env))
        environment["env_vars"] = {k: v for k, v in environment["env_vars"].items() if k not in ENVIRONMENT}
        return environment


class NoBarrier:
    """Stands for Ray's barrier, of which the training function makes no use."""

    @classmethod
    def options(cls, **_: Any) -> type[NoBarrier]:
        return cls

    @classmethod
    def remote(cls, **_: Any) -> NoBarrier:
        return cls()


class LentHandle(DefaultPlacementGroupHandle):
    def shutdown(self) -> None:
        """Leave it to its owner."""


class _Started(WorkerGroupCallback):
    """Hands over the workers."""

    def __init__(self, workers: Future[list[ActorHandle[Any]]]) -> None:
        self.workers = workers

    def after_worker_group_training_start(self, worker_group: WorkerGroup) -> None:
        self.workers.set_result([worker.actor for worker in worker_group.get_workers()])
