"""Slots on real Ray: what several workers, and a worker that dies, come to."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from tests.tuning.sweeps import TINY, Sweeps, assert_agree, assert_nothing_left, wait_until

pytestmark = pytest.mark.slow

HOW = ("--trials", "3", "--epochs", "2", "--sampler", "random", "--scheduler", "none", "--concurrent", "1")
WORKER = "ray::RayTrainWorker"


def processes(sweeps: Sweeps) -> set[int]:
    return set(sweeps.processes(WORKER))


@pytest.mark.parametrize("workers", [1, 2])
def test_workers_are_started_once_for_all_trials_and_again_when_one_dies(tmp_path: Path, workers: int) -> None:
    sweeps, how = Sweeps(tmp_path), (*TINY, *HOW, "--workers", str(workers))
    sweep, seen = sweeps.start(*how, "--name", "calm"), set()
    while sweep.poll() is None:
        seen |= processes(sweeps)
        time.sleep(0.5)
    done = sweeps.end(sweep)
    assert done.returncode == 0 and done.stderr == "", done.stderr
    assert len(seen) == workers
    assert_agree(sweeps, "calm")

    sweep = sweeps.start(*how, "--name", "killed")
    wait_until(lambda: sweeps.epochs("killed") > 2 and processes(sweeps))  # in the second trial
    first = processes(sweeps)
    os.kill(max(first), signal.SIGKILL)
    wait_until(lambda: processes(sweeps) - first or sweep.poll() is not None)
    done = sweeps.end(sweep)
    assert done.returncode == 0 and done.stderr == "", done.stderr
    assert_agree(sweeps, "killed")
    curves = [[trial.intermediate_values for trial in sweeps.study(name)] for name in ("calm", "killed")]
    assert curves[0] == curves[1] and len(curves[0]) == 3
    assert_nothing_left(sweeps)


BUSY = """
import time
from ray import tune
from tuning.terminal.progress import ProgressCallback
from tuning.sweep import main
from fame.errors import run_command

after = ProgressCallback.on_trial_result

def busy(self, iteration, trials, trial, result, **info):
    after(self, iteration, trials, trial, result, **info)
    time.sleep(20)

ProgressCallback.on_trial_result = busy
run_command(main)
"""


def test_a_trial_may_end_before_tune_has_asked_for_its_last_report(tmp_path: Path) -> None:
    """As long as the sweep's driver is busy with the first epoch, in which its worker must wait."""
    sweeps = Sweeps(tmp_path)
    script = sweeps.folder / "busy.py"
    script.write_text(BUSY)
    options = ("--trials", "1", "--epochs", "2", "--sampler", "random", "--scheduler", "none", "--name", "busy")
    done = sweeps.end(sweeps.popen(str(script), *TINY, *options))
    assert done.returncode == 0 and done.stderr == "", done.stderr
    (trial,) = sweeps.study("busy")
    assert list(trial.intermediate_values) == [1, 2]
    assert_agree(sweeps, "busy")
