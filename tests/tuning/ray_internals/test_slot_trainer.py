"""Tests of the assumptions of `tuning.ray_internals.slot_trainer` about Ray Train, an assumption a test. The last ones need a real Ray."""

from __future__ import annotations

import asyncio
import inspect
import json
import os
import shutil
import subprocess
import sys
from types import SimpleNamespace
from unittest import mock

import pytest
from ray import train
from ray.train.torch import TorchConfig, TorchTrainer
from ray.train.v2._internal import constants
from ray.train.v2._internal.execution import checkpoint
from ray.train.v2._internal.execution.controller import controller
from ray.train.v2._internal.execution.controller.controller import TrainController
from ray.train.v2._internal.execution.scaling_policy import create_scaling_policy, scaling_policy
from ray.train.v2._internal.execution.scaling_policy.fixed import FixedScalingPolicy
from ray.train.v2._internal.execution.worker_group import state, worker_group
from ray.train.v2._internal.execution.worker_group.worker_group import WorkerGroup

from tests.fame.helpers import ROOT
from tuning.ray_internals import slot_trainer
from tuning.ray_internals.slot_trainer import ENVIRONMENT, UNUSED, LocalTorchConfig, SlotTrainer

pytestmark = pytest.mark.filterwarnings(
    "ignore:The `(json|parse_obj)` method:DeprecationWarning", "ignore::DeprecationWarning:ray.data.context"
)


@pytest.fixture
def trainer(tmp_path) -> SlotTrainer:
    run = train.RunConfig(name="slot", storage_path=str(tmp_path))
    config = train.ScalingConfig(num_workers=1)
    return SlotTrainer(
        lambda: None, "the group", torch_config=LocalTorchConfig(), scaling_config=config, run_config=run
    )


def test_fit_gives_the_arguments_of_a_controller_to_what_is_overridden(trainer, monkeypatch) -> None:
    monkeypatch.setattr("ray.train.v2.api.data_parallel_trainer.ObjectRefWrapper", lambda function: function)
    met: list[dict] = []
    monkeypatch.setattr(
        SlotTrainer, "_initialize_and_run_controller", lambda self, **found: met.append(found) or mock.Mock(error=None)
    )
    trainer.fit()
    inspect.signature(TrainController.__init__).bind(None, **met[0])


def test_a_controller_runs_in_an_event_loop_of_this_process_with_another_kind_of_workers(monkeypatch) -> None:
    assert inspect.iscoroutinefunction(TrainController.run) and not inspect.iscoroutinefunction(
        TrainController.get_result
    )
    assert TrainController.worker_group_cls is WorkerGroup
    made: list[mock.Mock] = []

    def make(**arguments: object) -> mock.Mock:
        made.append(mock.Mock(arguments=arguments, run=mock.AsyncMock()))
        return made[-1]

    monkeypatch.setattr(slot_trainer, "TrainController", make)
    for module, name in ((worker_group, "SynchronizationActor"), (state, "_shutdown_sync_actor")):
        monkeypatch.setattr(module, name, getattr(module, name))  # so that it comes back
    for name in ENVIRONMENT:
        monkeypatch.setenv(name, "before")
    policy = create_scaling_policy(train.ScalingConfig(num_workers=3))
    assert (
        asyncio.run(slot_trainer.run_controller("the group", {"a": 1, "scaling_policy": policy}))
        is made[0].get_result()
    )
    assert made[0].arguments["a"] == 1 and made[0].worker_group_cls.lent == "the group"
    assert made[0].arguments["scaling_policy"].make_decision_for_non_running_worker_group().num_workers == 3
    assert {name: os.environ[name] for name in ENVIRONMENT} == ENVIRONMENT


def test_workers_lie_in_the_group_that_the_overridden_method_returns_from_its_first_bundle_on() -> None:
    assert "self._create_placement_group(" in inspect.getsource(WorkerGroup._start_impl)
    handle = slot_trainer.LentWorkerGroup._create_placement_group(SimpleNamespace(lent="the group"), None, None)
    assert handle.placement_group == "the group"
    handle.shutdown()  # Ray's own would remove the group
    assert "range(num_workers)" in inspect.getsource(WorkerGroup._create_workers)


def test_the_barrier_is_made_and_ended_by_the_names_that_are_replaced() -> None:
    assert worker_group.SynchronizationActor is checkpoint.sync_actor.SynchronizationActor
    assert "SynchronizationActor.options(" in inspect.getsource(WorkerGroup._start_impl)
    assert "_shutdown_sync_actor(self.sync_actor)" in inspect.getsource(state.WorkerGroupState.shutdown)
    assert isinstance(slot_trainer.NoBarrier.options(label_selector={}).remote(), slot_trainer.NoBarrier)


def test_a_policy_talks_to_the_autoscaler_in_the_overridden_methods_alone() -> None:
    assert type(create_scaling_policy(train.ScalingConfig(num_workers=1))) is FixedScalingPolicy
    lent = slot_trainer.LentWorkers(train.ScalingConfig(num_workers=1))
    with mock.patch.object(scaling_policy, "TrainAutoscalingCoordinatorClient") as client:
        lent.after_controller_start(mock.Mock())
        lent.make_decision_for_non_running_worker_group()
        lent.make_decision_for_running_worker_group(mock.Mock(), mock.Mock())
        for end in (lent.before_controller_shutdown, lent.before_controller_abort):
            asyncio.run(end()) if inspect.iscoroutinefunction(end) else end()
    assert not client.mock_calls


def test_ray_reads_the_variables_where_the_controller_is_made() -> None:
    names = {
        constants.HEALTH_CHECK_INTERVAL_S_ENV_VAR,
        constants.ENABLE_PREEMPTION_WATCHER_ENV_VAR,
        constants.METRICS_ENABLED_ENV_VAR,
    }
    assert names == ENVIRONMENT.keys()
    made = inspect.getsource(controller.TrainController.__init__)
    assert "HEALTH_CHECK_INTERVAL_S_ENV_VAR" in made and "ENABLE_PREEMPTION_WATCHER_ENV_VAR" in made


def test_the_parts_with_a_process_of_their_own_are_left_out(trainer) -> None:
    theirs = TorchTrainer._create_default_callbacks(trainer)
    assert {type(one) for one in theirs} >= set(UNUSED)
    ours = trainer._create_default_callbacks()
    assert not any(isinstance(one, UNUSED) for one in ours)
    assert len(ours) == len(theirs) - len(UNUSED) + 1


def test_one_worker_has_no_process_group() -> None:
    assert LocalTorchConfig().backend_cls is not TorchConfig().backend_cls
    assert LocalTorchConfig().backend_cls().on_start(None, None) is None


REAL = """
import json, sys, threading
import ray
from ray import train
from ray._private import state
from ray.util.placement_group import placement_group, placement_group_table
from tuning.ray_internals.slot_trainer import LocalTorchConfig, SlotTrainer, call
from tuning.trial import mailbox

def bundle():
    return list(ray._private.worker.global_worker.core_worker.resource_ids())

def loop():
    while not isinstance(mailbox.COMMANDS.get(), mailbox.End):
        mailbox.REPORTS.put({"rank": train.get_context().get_world_rank()})

@ray.remote(num_cpus=0)
class Holder:  # in the place of Tune's actor
    def begin(self, group, folder):
        self.trainer = SlotTrainer(
            loop, group, torch_config=LocalTorchConfig(),
            scaling_config=train.ScalingConfig(num_workers=2, resources_per_worker={"CPU": 1}),
            run_config=train.RunConfig(name="slot", storage_path=folder),
        )
        self.thread = threading.Thread(target=self.trainer.fit)
        self.thread.start()
        self.workers = self.trainer.workers.result(240)
        answers = ray.get([call(worker, mailbox.exchange, mailbox.Go()) for worker in self.workers])
        for rank, worker in enumerate(self.workers):
            while isinstance(answers[rank], mailbox.Waiting):
                answers[rank] = ray.get(call(worker, mailbox.receive))
        return {"answers": answers, "bundles": ray.get([call(worker, bundle) for worker in self.workers])}

    def end(self):
        for worker in self.workers:
            call(worker, mailbox.send, mailbox.End())
        self.thread.join(240)
        return not self.thread.is_alive()

def living():
    return sorted(actor["ActorClassName"] for actor in state.actors().values() if actor["State"] == "ALIVE")

session, results = sys.argv[1:]
ray.init(num_cpus=3, include_dashboard=False, logging_level="ERROR", log_to_driver=False, _temp_dir=session)
group = placement_group([{"CPU": 1}] * 3)
holder = Holder.remote()
found = ray.get(holder.begin.remote(group, results)) | {"during": living()}
found |= {"ended": ray.get(holder.end.remote()), "after": living(), "group": placement_group_table(group)["state"]}
print(json.dumps(found))
ray.shutdown()
"""


@pytest.mark.slow
def test_on_real_ray_there_are_the_workers_alone_and_their_group_stays(tmp_path) -> None:
    session = f"/tmp/fame-ray-{os.getpid()}"
    command = [sys.executable, "-c", REAL, session, str(tmp_path)]
    settings = {"RAY_AUTH_MODE": "disabled", "RAY_worker_niceness": "0", "PYTHONPATH": str(ROOT)}
    environment = {**os.environ, **settings}
    try:
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=600)
    finally:
        shutil.rmtree(session, ignore_errors=True)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    # A function runs in a worker beside the training function, by rank.
    assert found["answers"] == [{"rank": 0}, {"rank": 1}]
    bundles = [next(name for name in names if name.count("_") == 3) for names in found["bundles"]]  # CPU_group_0_…
    assert {name.split("_")[2] for name in bundles} == {"0", "1"}
    assert found["during"] == ["Holder", "RayTrainWorker", "RayTrainWorker"] and found["after"] == ["Holder"]
    assert found["ended"] and found["group"] == "CREATED"
