"""Processes of a sweep that are killed."""

from __future__ import annotations

import signal

import pytest

from tests.chaos.harness import Undisturbed, assert_sound, command, record
from tests.tuning.sweeps import Sweeps, wait_until

pytestmark = pytest.mark.slow


def test_the_driver_of_the_sweep(sweeps: Sweeps, undisturbed: Undisturbed) -> None:
    args = command(sweeps, "k", "--trainer", "inline")
    killed = sweeps.stop(sweeps.start(*args), signal.SIGKILL, lambda: sweeps.epochs("k") > 5)
    assert killed.returncode == -signal.SIGKILL
    wait_until(lambda: not sweeps.processes())  # Ray's processes end by themselves
    done = sweeps.run(*args, "--resume")
    assert done.returncode == 0 and done.stderr == "", done.stderr
    record("kill -9 of the sweep's driver", "--resume", assert_sound(sweeps, "k", undisturbed))
