"""Sweeps that run at the same time: of one name, which must not be, and of two, on one Ray."""

from __future__ import annotations

import os
import signal
from collections import Counter

import pytest

from fame.errors import EXIT_USER_ERROR
from tests.chaos.harness import DATA, Undisturbed, assert_sound, command, record
from tests.chaos.nodes import Cluster
from tests.tuning.sweeps import Sweeps, assert_nothing_left, wait_until

pytestmark = pytest.mark.slow


def test_a_second_driver_of_a_sweep_is_refused(sweeps: Sweeps, undisturbed: Undisturbed) -> None:
    args = command(sweeps, "s")
    sweep = sweeps.start(*args)
    wait_until(lambda: list((sweeps.folder / "runs").glob("s/driver.lease-*")))
    os.kill(sweep.pid, signal.SIGSTOP)  # before it has written anything else
    assert not (sweeps.folder / "runs/s/sweep.yaml").exists()
    refused(sweeps, f"error: sweep 's' is running (process {sweep.pid} on ", *args)
    os.kill(sweep.pid, signal.SIGCONT)
    wait_until(lambda: sweeps.epochs("s") > 2)
    os.kill(sweep.pid, signal.SIGSTOP)  # or it would be over before
    refused(sweeps, "error: --name s: there is a sweep of this name at runs/s; go on with --resume", *args)
    refused(sweeps, f"error: sweep 's' is running (process {sweep.pid} on ", *args, "--resume")
    os.kill(sweep.pid, signal.SIGCONT)
    out, err = sweep.communicate()
    assert sweep.returncode == 0 and err == "", (out, err)
    record("two sweeps with one name", "the second is refused", assert_sound(sweeps, "s", undisturbed))
    assert_nothing_left(sweeps)


def refused(sweeps: Sweeps, words: str, *args: str) -> None:
    done = sweeps.run(*args)
    assert done.returncode == EXIT_USER_ERROR
    assert done.stderr.startswith(words) and done.stderr.count("\n") == 1, done.stderr


def test_two_sweeps_on_one_ray_do_not_meet(sweeps: Sweeps, undisturbed: Undisturbed, cluster: Cluster) -> None:
    cluster.head(cpus=2)
    on = ("--concurrent", "1", "--address", cluster.address)
    assert sweeps.module("fame.datasets", *DATA).returncode == 0  # or one waits for the other, and says so
    running = {name: sweeps.start(*command(sweeps, name, *on)) for name in "ab"}
    again: Counter[str] = Counter()
    for name, sweep in running.items():
        out, err = sweep.communicate()
        assert sweep.returncode == 0 and err == "", (out, err)
        again += assert_sound(sweeps, name, undisturbed)
    record("two sweeps at once on one Ray", "nothing to heal", again)
    assert_nothing_left(sweeps)
    assert not list(cluster.folder.glob("*/session_*/artifacts/*"))
