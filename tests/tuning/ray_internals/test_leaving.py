"""Tests of the assumptions of `tuning.ray_internals.leaving` about Ray."""

from __future__ import annotations

import subprocess
import sys

GARBAGE = """
import threading, time
import ray
from tuning.ray_internals.leaving import leave

ray.init(num_cpus=1, include_dashboard=False, logging_level="ERROR", log_to_driver=False)
references = [ray.put(number) for number in range(600)]

def circles():
    while references:
        circle = [references.pop()]
        circle.append(circle)
        del circle
        garbage = [[] for _ in range(1000)]  # enough for the collector to run, if it does
        time.sleep(.01)

thread = threading.Thread(target=circles)
thread.start()
time.sleep(.1)
leave()
print("left", flush=True)
thread.join()
print("alive", flush=True)
"""
"""Another thread makes garbage that refers to objects of Ray: before, during and after the shutdown."""


def test_garbage_of_another_thread_does_not_end_the_process_while_ray_shuts_down() -> None:
    done = subprocess.run([sys.executable, "-c", GARBAGE], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout.split()) == (0, ["left", "alive"]), done.stderr
