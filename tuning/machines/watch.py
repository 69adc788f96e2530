"""Ends a sweep's driver that cannot go on, with a line that says why and what to do.

Left to itself a driver whose head has died hangs for a minute, and is then aborted by Ray in the middle of
whatever it does, with its stacks on the terminal. And a driver that slept (a suspended machine) while another
one took over its sweep would write into the same files.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from types import FrameType

from fame.artifacts.lease import Lease
from fame.errors import EXIT_FAILED

LIMIT = "RAY_gcs_rpc_server_reconnect_timeout_s"
"""Ray's variable: seconds (60 if unset) after which it aborts the driver if the head does not answer."""
SHARE = 0.5
"""Share of that time after which the head is taken for dead."""
NODE_SECONDS = 5.0
"""The same for Ray's process on the driver's own machine, which never comes back."""
POLL_SECONDS = 1.0
ANSWER_SECONDS = 2.0
REACT_SECONDS = 5.0
"""Time for the main thread to react; it does not while it waits for an answer within Ray."""
LAST_SECONDS = 30.0
"""Longest time that it then has to close what it has open."""


class CannotGoOnError(BaseException):
    """Why a driver ends, in one line. No `Exception`: Tune would take it for a trial's or its own."""


class TakenOverError(CannotGoOnError):
    """Another driver runs the sweep now, and what is open belongs to it."""


@contextlib.contextmanager
def watched(sweep: str, leases: Sequence[Lease], resume: str) -> Iterator[Watch]:
    """Around what needs Ray and the sweep's lock. Raises `CannotGoOnError`, in the main thread.

    `resume` is the command that goes on with the sweep.
    """
    watch = Watch(sweep, leases, resume)
    before = signal.signal(signal.SIGUSR2, watch.end)
    thread = threading.Thread(target=watch.run, daemon=True)
    thread.start()
    try:
        yield watch
    except Exception as error:  # Ray's own errors can come before the patience is over
        if (why := watch.silent()) is not None:
            raise CannotGoOnError(why) from error
        raise
    finally:
        watch.ended.set()
        thread.join()  # it may be about to send the signal
        signal.signal(signal.SIGUSR2, before)


class Watch:
    """Looks, in a thread of its own, whether the head, the own node and the sweep's lock are there."""

    def __init__(self, sweep: str, leases: Sequence[Lease], resume: str) -> None:
        import ray

        context = ray.get_runtime_context()
        (node,) = [node for node in ray.nodes() if node["NodeID"] == context.get_node_id()]
        self.head, self.node = context.gcs_address, f"{node['NodeManagerAddress']}:{node['NodeManagerPort']}"
        self.sweep, self.leases, self.resume = sweep, leases, resume
        self.ended, self.reacted = threading.Event(), threading.Event()
        self.close: Callable[[], None] | None = None
        """Closes what is open, in place of a main thread that does not react."""
        self.error: CannotGoOnError | None = None

    def run(self) -> None:
        patience = {self.head: SHARE * float(os.environ.get(LIMIT, 60)), self.node: NODE_SECONDS}
        answered = dict.fromkeys(patience, time.monotonic())
        while not self.ended.wait(POLL_SECONDS):
            answered |= {address: time.monotonic() for address in patience if answers(address)}
            if any(lease.lost for lease in self.leases):
                self._stop(TakenOverError(f"sweep '{self.sweep}' was taken over by another driver, and goes on there"))
            elif any(time.monotonic() - answered[address] >= patience[address] for address in patience):
                self._stop(CannotGoOnError(self.silent() or self._died("node of this machine", self.node)))

    def silent(self) -> str | None:
        """What does not answer, and what to do; None if all does."""
        if not answers(self.head):
            return self._died("head", self.head)
        return None if answers(self.node) else self._died("node of this machine", self.node)

    def end(self, number: int, frame: FrameType | None) -> None:
        """Of the signal that `run` sends to the main thread."""
        assert self.error is not None, "somebody else sent SIGUSR2"
        self.reacted.set()
        raise self.error

    def _died(self, what: str, address: str) -> str:
        return (
            f"Ray's {what} ({address}) has died or cannot be reached. Nothing that ended is lost, "
            f"and running trials go on from their last epoch once Ray is up again: {self.resume}"
        )

    def _stop(self, error: CannotGoOnError) -> None:
        if self.ended.is_set():
            return
        self.error = error
        os.kill(os.getpid(), signal.SIGUSR2)
        if self.reacted.wait(REACT_SECONDS):
            self.ended.wait(LAST_SECONDS)
        elif self.close is not None and not isinstance(error, TakenOverError):
            self.close()
        if not self.ended.is_set():
            end_at_once(error)


def answers(address: str) -> bool:
    """Whether something listens at ``host:port``."""
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=ANSWER_SECONDS):
            return True
    except OSError:
        return False


def end_at_once(error: CannotGoOnError) -> None:
    """End the process: Python's regular end would wait for Ray, and Ray for its head."""
    sys.stdout.flush()
    print(f"error: {error}", file=sys.stderr, flush=True)
    os._exit(EXIT_FAILED)
