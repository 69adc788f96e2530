"""The load of the driver's machine."""

from __future__ import annotations

import time

import pytest

from tests.tuning.mlflow_server import Server
from tests.tuning.tracking.conftest import Open
from tests.tuning.tracking.seen import Seen


def test_the_drivers_machine_is_sampled_and_outages_keep_the_samples(
    open_sweep: Open, experiment: str, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL", "0.2")
    sweep = open_sweep("s", uri=server.uri, machine=True)
    samples = sweep.projection.machine.samples
    assert sweep.projection.update()
    server.stop()
    while len(samples) < 3:
        time.sleep(0.05)
    waited = [when for when, _ in samples][:3]
    server.start()
    assert sweep.projection.finish("finished")
    client = Seen(server.uri, experiment, "s")
    points = client.client.get_metric_history(client.parent.info.run_id, "system/cpu_utilization_percentage")
    times = [point.timestamp for point in points]
    assert set(waited) <= set(times) and len(set(times)) == len(times)
    monkeypatch.setenv("MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING", "false")
    off = open_sweep("off", uri=server.uri, machine=True)
    assert off.projection.update() and not off.projection.machine.samples
