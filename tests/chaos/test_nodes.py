"""Machines of a cluster that come, go, and come back."""

from __future__ import annotations

import json
import time

import pytest

from fame.errors import EXIT_FAILED
from tests.chaos.harness import Undisturbed, assert_sound, command, record
from tests.chaos.nodes import Cluster
from tests.tuning.sweeps import Sweeps, wait_until
from tuning.terminal.waiting import LOOK_SECONDS

pytestmark = pytest.mark.slow


def places(sweeps: Sweeps, name: str) -> list[list[str]]:
    """Addresses of the nodes that trials have reported from, epoch by epoch, by trial."""
    found = []
    for path in (sweeps.folder / "runs" / name / "tune").rglob("result.json"):
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
        found.append([json.loads(line)["node_ip"] for line in lines if line.endswith("\n")])
    return found


def test_nodes_that_join_are_used_and_what_a_dead_one_had_goes_on_elsewhere(
    sweeps: Sweeps, undisturbed: Undisturbed, cluster: Cluster
) -> None:
    a, b, c = "127.0.0.2", "127.0.0.3", "127.0.0.4"
    cluster.head(cpus=0)
    sweep = sweeps.start(*command(sweeps, "n", "--address", cluster.address))
    wait_until(lambda: len(sweeps.study("n")) == 1)  # it is asked for, and waits
    time.sleep(2 * LOOK_SECONDS)
    first = cluster.worker(a)
    wait_until(lambda: sweeps.epochs("n"))
    with first.stands_still():  # else it would train all that is left before the others are there
        assert len(sweeps.study("n")) == 1
        second = cluster.worker(b)
        wait_until(lambda: any(b in one for one in places(sweeps, "n")))
        second.kill()
        third = cluster.worker(c)
        wait_until(lambda: any(b in one and one[-1] == c for one in places(sweeps, "n")))
        with third.stands_still():
            before = sum(one.count(b) for one in places(sweeps, "n"))
            cluster.worker(b)
            wait_until(lambda: sum(one.count(b) for one in places(sweeps, "n")) > before)
    out, err = sweep.communicate()
    assert sweep.returncode == 0 and err == "", err
    assert "waiting for 1 CPU: the cluster has 0 CPUs and 0 GPUs\n" in out
    again = assert_sound(sweeps, "n", undisturbed)
    record("a node with trials on it (all its processes) killed, and started again", "by itself", again)


def test_a_dead_head_ends_the_driver_with_one_line_and_a_new_one_goes_on(
    sweeps: Sweeps, undisturbed: Undisturbed, cluster: Cluster
) -> None:
    head = cluster.head(cpus=2)
    args = command(sweeps, "h", "--address", cluster.address)
    sweep = sweeps.start(*args)
    wait_until(lambda: sweeps.epochs("h") > 5)
    head.kill()
    _, err = sweep.communicate()
    assert sweep.returncode == EXIT_FAILED
    assert err.startswith("error: Ray's ") and err.count("\n") == 1, err
    assert err.endswith(f"tuning/sweep.py --resume --name h --address {cluster.address}\n")
    parent, _ = sweeps.runs("h")
    assert parent.data.tags["status"] == "interrupted"
    cluster.head(cpus=2)
    done = sweeps.run(*args, "--resume")
    assert done.returncode == 0 and done.stderr == "", done.stderr
    record("the head of the cluster killed", "new head, --resume", assert_sound(sweeps, "h", undisturbed))
