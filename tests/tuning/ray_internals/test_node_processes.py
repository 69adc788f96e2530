"""Tests of the assumptions of `tuning.ray_internals.node_processes` about Ray."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.tuning.sweeps import SOURCES

DRIVER = """
import subprocess, sys, time, numpy, ray
from ray._private.worker import global_worker
from tuning.ray_internals.node_processes import node_processes
ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False)
kept = ray.put(numpy.zeros(10**6))
starts = subprocess.Popen([sys.executable, "-c", "input()", global_worker.node.raylet_socket_name], stdin=subprocess.PIPE)
found = node_processes()
print([process.name() for process in found])
starts.kill()
found[1].kill()
time.sleep(120)
print("still here")
"""


@pytest.mark.slow
def test_the_end_of_an_agent_is_the_end_of_a_driver_that_stays(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("r")
    environment = {**os.environ, "RAY_TMPDIR": str(folder), "PYTHONUNBUFFERED": "1"}
    done = subprocess.run(
        [sys.executable, "-c", DRIVER], cwd=SOURCES, env=environment, capture_output=True, text=True, timeout=180
    )
    assert done.stdout.startswith("['raylet', 'ray::DashboardAgent', 'ray::RuntimeEnvAgent']\n")
    assert done.returncode == 1 and "still here" not in done.stdout and "Traceback" not in done.stderr
