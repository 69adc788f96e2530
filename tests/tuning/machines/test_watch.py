"""A driver that cannot go on ends by itself and says why."""

from __future__ import annotations

import contextlib
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from types import SimpleNamespace

import psutil
import pytest
import ray

from fame.errors import EXIT_FAILED
from tests.tuning.sweeps import SOURCES
from tuning.machines import watch
from tuning.machines.watch import CannotGoOnError, TakenOverError, answers, watched


@contextlib.contextmanager
def listens() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


def address(server: socket.socket) -> str:
    return "{}:{}".format(*server.getsockname())


@pytest.fixture
def places(monkeypatch: pytest.MonkeyPatch) -> Iterator[SimpleNamespace]:
    """Ray's head and the driver's node, as somebody who listens."""
    with listens() as head, listens() as node:
        host, port = node.getsockname()
        context = SimpleNamespace(gcs_address=address(head), get_node_id=lambda: "n")
        nodes = [
            {"NodeID": "other", "Alive": True},
            {"NodeID": "n", "NodeManagerAddress": host, "NodeManagerPort": port},
        ]
        monkeypatch.setattr(ray, "get_runtime_context", lambda: context)
        monkeypatch.setattr(ray, "nodes", lambda: nodes)
        monkeypatch.setenv(watch.LIMIT, "1")
        monkeypatch.setattr(watch, "NODE_SECONDS", 0.5)
        monkeypatch.setattr(watch, "POLL_SECONDS", 0.05)
        yield SimpleNamespace(head=head, node=node, lease=SimpleNamespace(lost=False))


def wait(places: SimpleNamespace, seconds: float, *processes: psutil.Process) -> None:
    """Wait under watch, as a driver does."""
    with watched("s", [places.lease], "python tuning/sweep.py --resume", processes=processes):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            time.sleep(0.05)


def test_nothing_happens_while_all_are_there(places: SimpleNamespace) -> None:
    before = signal.getsignal(signal.SIGUSR2)
    wait(places, 1.5)
    assert signal.getsignal(signal.SIGUSR2) == before


@pytest.mark.parametrize(("which", "words"), [("head", "Ray's head"), ("node", "Ray's node of this machine")])
def test_what_died_is_named_with_the_next_command(places: SimpleNamespace, which: str, words: str) -> None:
    server = getattr(places, which)
    where = address(server)
    server.close()
    with pytest.raises(CannotGoOnError) as caught:
        wait(places, 60.0)
    assert str(caught.value) == (
        f"{words} ({where}) has died or cannot be reached. Nothing that ended is lost, and running trials go on "
        "from their last epoch once Ray is up again: python tuning/sweep.py --resume"
    )


def test_a_process_that_ray_needs_is_missed_at_once(places: SimpleNamespace) -> None:
    """It is the child of somebody who may wait for it late, so it can be a zombie."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        process = psutil.Process(child.pid)
        wait(places, 0.5, process)
        child.kill()
        with pytest.raises(CannotGoOnError, match=rf"Ray's {process.name()} \(process {child.pid}\) has died"):
            wait(places, 60.0, process)


def test_a_main_thread_that_closes_the_runs_already_is_not_interrupted(places: SimpleNamespace) -> None:
    """An error of Ray may come just before the watch finds out why."""
    closed = []
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        process = psutil.Process(child.pid)

        def driver() -> None:
            with watched("s", [], "…", processes=[process]) as watching:
                watching.closing = True
                child.kill()
                assert watching.reacted.wait(60)  # the signal has come
                closed.append("runs")
                raise RuntimeError("rpc_client.h: …")

        with pytest.raises(CannotGoOnError, match=f"process {child.pid}"):
            driver()
    assert closed == ["runs"]


def test_a_head_that_comes_back_in_time_is_waited_for(places: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(watch.LIMIT, "20")
    where = places.head.getsockname()
    places.head.close()
    with watched("s", [], "…"):
        time.sleep(0.5)
        with socket.create_server(where):
            time.sleep(0.5)


def test_an_error_of_ray_is_told_as_what_caused_it(places: SimpleNamespace) -> None:
    with pytest.raises(ZeroDivisionError), watched("s", [], "…"):
        raise ZeroDivisionError
    places.head.close()
    with pytest.raises(CannotGoOnError), watched("s", [], "…"):
        raise RuntimeError("rpc_client.h: …")


def test_a_driver_whose_lock_is_lost_ends(places: SimpleNamespace) -> None:
    places.lease.lost = True
    with pytest.raises(TakenOverError, match="sweep 's' was taken over by another driver, and goes on there"):
        wait(places, 60.0)


STUCK = """
import ctypes, socket, sys
from types import SimpleNamespace
from tuning.machines import watch

node = socket.create_server(("127.0.0.1", 0))
host, port = node.getsockname()
context = SimpleNamespace(gcs_address=f"{host}:{port}", get_node_id=lambda: "n")
nodes = [{"NodeID": "n", "NodeManagerAddress": host, "NodeManagerPort": port}]
sys.modules["ray"] = SimpleNamespace(get_runtime_context=lambda: context, nodes=lambda: nodes)
watch.NODE_SECONDS = watch.REACT_SECONDS = watch.LAST_SECONDS = 0.5
with watch.watched("s", [], "resume it") as watching:
    watching.close = lambda: print("closed")
    node.close()
    mutex = ctypes.create_string_buffer(64)
    if sys.argv[1] == "cleanup":  # such as Tune's, after the signal
        watching.reacted.wait = lambda seconds: True
    for _ in range(2):  # for ever, and no signal ends it
        ctypes.CDLL(None).pthread_mutex_lock(mutex)
"""


@pytest.mark.parametrize("where", ["at once", "cleanup"])
def test_a_main_thread_that_waits_in_foreign_code_is_ended_from_outside(where: str) -> None:
    code = [sys.executable, "-c", STUCK, where]
    done = subprocess.run(code, cwd=SOURCES, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout) == (EXIT_FAILED, "closed\n"), done
    assert done.stderr.startswith("error: Ray's head (127.0.0.1:") and done.stderr.endswith(": resume it\n")


def test_nobody_listens_at_a_closed_port() -> None:
    with listens() as server:
        where = address(server)
        assert answers(where)
    assert not answers(where)


def test_the_end_is_one_line_and_a_code_whatever_threads_wait_for() -> None:
    code = "from tuning.machines.watch import *; print('out'); leave(CannotGoOnError('why'))"
    done = subprocess.run([sys.executable, "-c", code], cwd=SOURCES, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (EXIT_FAILED, "out\n", "error: why\n")
