"""Says on the terminal what trials wait for: a cluster may have no room for a trial yet, or no longer."""

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
"""Seconds between two looks at the cluster."""
LONG_SECONDS = 15.0
"""Shortest wait that is reported while other programs use the cluster. Shorter waits between two trials are normal."""
SAY_SECONDS = 60.0
"""Seconds before the same line is printed again."""


class WaitingCallback(Callback):
    """Prints a line when trials wait. Tune pickles it, so it keeps no clock of this process."""

    def __init__(self, resources: Resources) -> None:
        self.resources = resources

    def setup(self, *args: Any, **info: Any) -> None:
        self.looked, self.said, self.text = time.monotonic(), -math.inf, ""
        self.pending: dict[str, float] = {}

    def on_step_end(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        now = time.monotonic()
        if now - self.looked < LOOK_SECONDS:
            return
        self.looked = now
        text = "" if all(trial.is_finished() for trial in reversed(trials)) else self._waits(now)
        if text and (text != self.text or now - self.said >= SAY_SECONDS):
            self.said = now
            print(text, flush=True)
        self.text = text

    def _waits(self, now: float) -> str:
        """Return the line to print. It is empty if no trial waits for long."""
        waits, nodes = f"waiting for {self.resources.needed}: the cluster has", found()
        if not self.resources.fits(nodes):
            return f"{waits} {total(nodes)}"
        self.pending = {group: self.pending.get(group, now) for group in self._pending_groups()}
        if now - min(self.pending.values(), default=now) < LONG_SECONDS:
            return ""
        free = ray.available_resources()
        return f"{waits} {total(nodes)}, of which others use all but {total([as_node(free)])}"

    def _pending_groups(self) -> list[str]:
        """Return the requests for a trial's resources that the cluster has not met."""
        worker = {"CPU": self.resources.cpus_per_worker, "GPU": self.resources.gpus_per_worker}
        wanted = [{key: amount for key, amount in worker.items() if amount}] * self.resources.workers
        return [
            group
            for group, entry in placement_group_table().items()
            if entry["state"] == "PENDING" and list(entry["bundles"].values()) == wanted
        ]
