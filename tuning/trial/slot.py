"""A slot of the sweep: a TorchTrainer that stays, whose workers take one trial after another.

Tune keeps the slot's actor (`reuse_actors`). The trainer's controller runs in it, in a thread. An epoch is a step of Tune:
workers go on when Tune asks for the next report. If the trainer dies, the step raises why. Tune then starts another slot,
in which the trial goes on from its checkpoint.

A trial begins with its first step, not in `reset_config`. Tune restarts a trial that fails in a step. But it gives up a
trial whose process could not be reset, even if only the storage did not answer.
"""

from __future__ import annotations

import contextlib
import math
import threading
from typing import Any

import ray
from ray import train, tune
from ray.exceptions import RayError
from ray.train.torch import TorchConfig
from ray.tune.result import RESULT_DUPLICATE
from ray.util import get_current_placement_group

from tuning.ray_internals.slot_trainer import LocalTorchConfig, SlotTrainer, call
from tuning.trial import mailbox
from tuning.trial.checkpoints import Checkpoints, mend
from tuning.trial.loop import TrialPlace, ended
from tuning.trial.mailbox import Answer, Command, End, Go, Start, Waiting
from tuning.trial.plan import TrialPlan
from tuning.trial.scratch import scratch_folder
from tuning.trial.worker import train_loop

HEAD = "node:__internal_head__"
HEAD_SHARE = 0.95
"""Share of the head node for a limited number of slots."""
ENDED = {RESULT_DUPLICATE: True}
"""The result that tells Tune that there is nothing to add to the last report."""
POLL_SECONDS = 0.5
LEAVE_SECONDS = 5.0
"""Most seconds for a trainer to end when it is told to, or to tell why it died."""


def trainable(plan: TrialPlan, at_a_time: int | None) -> Any:
    """Return the class that Tune runs for each trial.

    Schedulers that pause trials need `at_a_time`, the number of slots: Tune counts paused trials where it limits the search.
    The slot's own actor only waits. It takes no CPU, and is on the node of the first worker.
    """
    slots = [] if at_a_time is None else [{HEAD: math.floor(HEAD_SHARE / at_a_time * 10_000) / 10_000}]
    bundles = tune.PlacementGroupFactory([{}, *([plan.worker_resources] * plan.workers), *slots])
    return tune.with_resources(type(Slot.__name__, (Slot,), {"plan": plan}), bundles)


class Slot(tune.Trainable):
    """The Tune trainable."""

    plan: TrialPlan
    """A constant of the class: `tune.with_parameters` would make it an object of the driver in Ray's object store."""

    def setup(self, config: dict[str, Any]) -> None:
        self.settings, self.begun = config, False
        self.trainer = KeptTrainer(self.plan)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Tune calls this in place of `setup` with the next trial, or a trial that continues."""
        self.settings, self.begun = new_config, False
        return True

    def step(self) -> dict[str, Any]:
        command: Command = Go()
        if not self.begun:
            if (over := ended(self.settings, self.plan)) is not None:
                return over | {tune.result.DONE: True}
            command, self.begun = self._start(), True
        metrics = self.trainer.ask(command)
        return ENDED if metrics is None else metrics

    def cleanup(self) -> None:
        self.trainer.end()

    def save_checkpoint(self, checkpoint_dir: str) -> dict[str, Any]:
        """Tune asks for a checkpoint when it pauses a trial. The last epoch's is in storage already."""
        return {}

    def load_checkpoint(self, checkpoint: dict[str, Any] | None) -> None:
        """A trial that continues reads its newest checkpoint from storage."""

    def _start(self) -> Start:
        mended = mend(self.plan.folder, self.trial_id, self.plan.interval)
        newest = Checkpoints(self.plan.folder, self.trial_id, self.plan.interval).newest
        return Start(config=self.settings, place=TrialPlace(trial_id=self.trial_id, previous=newest, mended=mended))


class KeptTrainer:
    """A TorchTrainer in a thread, and its workers. It starts at once."""

    def __init__(self, plan: TrialPlan) -> None:
        several = TorchConfig(backend="nccl" if plan.gpus_per_worker >= 1 else "gloo")
        self.files = contextlib.ExitStack()
        group = get_current_placement_group()
        assert group is not None, "Tune makes one for each trial"
        self.trainer = SlotTrainer(
            train_loop,
            group,
            train_loop_config={"plan": plan},
            torch_config=several if plan.workers > 1 else LocalTorchConfig(),
            scaling_config=train.ScalingConfig(
                num_workers=plan.workers, use_gpu=plan.gpus_per_worker > 0, resources_per_worker=plan.worker_resources
            ),
            # The trials keep their own checkpoints: Ray Train writes nothing of use for the run as a whole.
            run_config=train.RunConfig(name="slot", storage_path=str(self.files.enter_context(scratch_folder("slot")))),
        )
        self.error: BaseException | None = None
        self.fitting = threading.Thread(target=self._fit, daemon=True)
        self.fitting.start()

    def ask(self, command: Command) -> dict[str, Any] | None:
        """Send a command to all workers, and return the first one's report."""
        first, *others = self._workers()
        try:
            for worker in others:
                call(worker, mailbox.send, command)
            answer: Answer = ray.get(call(first, mailbox.exchange, command))
            while isinstance(answer, Waiting):
                self._check()
                answer = ray.get(call(first, mailbox.receive))
            return answer
        except RayError:
            self.fitting.join(LEAVE_SECONDS)  # the trainer knows more of it
            self._check()
            raise

    def end(self) -> None:
        """End the trainer and its workers."""
        if self.trainer.workers.done() and self.fitting.is_alive():
            for worker in self.trainer.workers.result():
                call(worker, mailbox.send, End())
            self.fitting.join(LEAVE_SECONDS)
        self.files.close()

    def _workers(self) -> list[Any]:
        while True:
            self._check()
            try:
                return self.trainer.workers.result(POLL_SECONDS)
            except TimeoutError:
                continue

    def _check(self) -> None:
        """Raise why the trainer has ended."""
        if self.error is not None:
            raise self.error
        assert self.fitting.is_alive()

    def _fit(self) -> None:
        try:
            self.trainer.fit()
        except BaseException as error:  # raised in the main thread, where Tune hears of it
            self.error = error
