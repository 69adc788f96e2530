"""What trials wait for, on the terminal: a cluster may have no room for one yet, or no more."""

from __future__ import annotations

import math
import time
from typing import Any

import ray
from ray.tune import Callback
from ray.tune.experiment import Trial
from ray.util import placement_group_table

from tuning.machines.resources import Resources, as_node, found, total

LOOK_SECONDS = 5.0
"""How often the cluster is asked."""
LONG_SECONDS = 15.0
"""Of a trial that waits while others use the cluster. Between two trials of a sweep, shorter waits are normal."""
SAY_SECONDS = 60.0
"""How often the same is said."""


class WaitingCallback(Callback):
    """Says what trials wait for. As all that Tune pickles it keeps no clock of this process."""

    def __init__(self, resources: Resources) -> None:
        self.resources = resources

    def setup(self, **info: Any) -> None:
        self.looked, self.said, self.text = time.monotonic(), -math.inf, ""
        self.pending: dict[str, float] = {}

    def on_step_end(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        now = time.monotonic()
        if now - self.looked < LOOK_SECONDS:
            return
        self.looked = now
        text = "" if all(trial.is_finished() for trial in trials) else self._waits(now)
        if text and (text != self.text or now - self.said >= SAY_SECONDS):
            self.said = now
            print(text, flush=True)
        self.text = text

    def _waits(self, now: float) -> str:
        """What is waited for; nothing if no trial waits for long."""
        waits, nodes = f"waiting for {self.resources.needed}: the cluster has", found()
        if not self.resources.fits(nodes):
            return f"{waits} {total(nodes)}"
        self.pending = {group: self.pending.get(group, now) for group in self._pending_groups()}
        if now - min(self.pending.values(), default=now) < LONG_SECONDS:
            return ""
        free = ray.available_resources()
        return f"{waits} {total(nodes)}, of which others use all but {total([as_node(free)])}"

    def _pending_groups(self) -> list[str]:
        """The requests for resources such as a trial's which the cluster has not met."""
        worker = {"CPU": self.resources.cpus_per_worker, "GPU": self.resources.gpus_per_worker}
        wanted = [{key: amount for key, amount in worker.items() if amount}] * self.resources.workers
        return [
            group
            for group, entry in placement_group_table().items()
            if entry["state"] == "PENDING" and list(entry["bundles"].values()) == wanted
        ]
