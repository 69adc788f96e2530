"""CPU, memory, disk, network and GPUs of the driver's machine, by MLflow's own sampler.

MLflow's sampler would write from a thread of its own, and end when the store is away. Here it only samples, and the
sweep's one writer writes. `MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING=false` switches it off.
"""

from __future__ import annotations

import collections
import logging
import time

MOST_SAMPLES = 1000
"""Most samples that wait for a store. The oldest ones are dropped."""


class MachineLoad:
    """Takes a sample now and then. `tracking_uri` is that of a store which has been opened."""

    def __init__(self, tracking_uri: str) -> None:
        from mlflow.environment_variables import MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING
        from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

        switch = MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING
        self._on = bool(switch.get()) if switch.is_set() else True
        self.samples: collections.deque[tuple[int, dict[str, float]]] = collections.deque(maxlen=MOST_SAMPLES)
        """Times in milliseconds since 1970, and metrics."""
        # It says that it finds no GPU.
        logging.getLogger("mlflow.system_metrics.system_metrics_monitor").setLevel(logging.WARNING)
        self._sampler = SystemMetricsMonitor("", tracking_uri=tracking_uri)
        self._due = 0.0

    def look(self) -> None:
        """Take a sample if it is time. The first look takes none: loads are means since the look before."""
        now = time.monotonic()
        if not self._on or now < self._due:
            return
        self._sampler.collect_metrics()
        if self._due:
            metrics = self._sampler.aggregate_metrics()
            self.samples.append((int(time.time() * 1000), {f"system/{key}": value for key, value in metrics.items()}))
        for monitor in self._sampler.monitors:
            monitor.clear_metrics()
        self._due = now + self._sampler.sampling_interval
