"""Signs of life of the processes that train, in the key-value store of Ray's head.

Reports are too rare to distinguish a slow epoch from a trial that hangs. So each step of the optimiser is a sign, and each
look at a stage that a trial waits for. A trial without any sign waits for its processes and does not hang.
"""

from __future__ import annotations

import math
import time
from typing import Any

import ray
from ray import cloudpickle

from fame.artifacts import Folder
from tuning.ray_internals import key_value

SHARE = 8
"""Signs of a process, and looks at it, in the time after which it counts as hanging."""


class Pulse:
    """The signs of the process with this rank. With `hang_after` 0 it gives none."""

    def __init__(self, trial_id: str, rank: int, hang_after: float) -> None:
        self.key, self.every = _key(trial_id, rank), hang_after / SHARE
        self.count, self.given = 0, -math.inf

    def beat(self) -> None:
        """Give a sign, if it is time for one."""
        now = time.monotonic()
        if self.every and now - self.given >= self.every:
            self.given, self.count = now, self.count + 1
            handle = ray.get_runtime_context().current_actor  # to end this process
            sign = cloudpickle.dumps((self.count, handle))
            key_value.put(self.key, sign)

    def end(self) -> None:
        """End the signs: the training is over."""
        if self.count:
            key_value.remove(self.key)


class BeatingFolder:
    """A folder of shared stages whose reads are signs of life: a training that waits for a stage looks here.

    Writes are no signs. A training that computes a stage renews its lease in a thread, which goes on when it hangs.
    """

    def __init__(self, folder: Folder, pulse: Pulse) -> None:
        self.folder, self.pulse = folder, pulse

    def load(self, name: str) -> Any:
        self.pulse.beat()
        return self.folder.load(name)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.folder, name)


def signs(trial_id: str, workers: int) -> list[bytes]:
    """Return the last signs of a trial's processes. Processes that do not train have none."""
    found = (key_value.get(_key(trial_id, rank)) for rank in range(workers))
    return [sign for sign in found if sign is not None]


def forget(trial_id: str, workers: int) -> None:
    """Remove the signs of processes that are gone."""
    for rank in range(workers):
        key_value.remove(_key(trial_id, rank))


def end_process(sign: bytes) -> None:
    """Kill the process that gave a sign."""
    _, handle = cloudpickle.loads(sign)
    ray.kill(handle)


def _key(trial_id: str, rank: int) -> bytes:
    return f"{trial_id}/{rank}".encode()
