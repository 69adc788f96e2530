"""Ends a driver that cannot go on, with a line that says why and what to do.

Without it, a driver whose head has died hangs for a minute. Then Ray aborts it at any point and prints its stacks. A driver
whose node has died may be left by Ray without a word (`tuning.ray_internals.node_processes`). And a driver on a machine that was
suspended would write into the files of the driver that took over its sweep.
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
from typing import NoReturn

import psutil

from fame.artifacts.lease import Lease
from fame.errors import EXIT_FAILED
from tuning.ray_internals.node_processes import has_ended

LIMIT = "RAY_gcs_rpc_server_reconnect_timeout_s"
"""Ray's variable: seconds without an answer of the head after which Ray aborts the driver. 60 if unset."""
SHARE = 0.5
"""Share of that time after which the head counts as dead."""
NODE_SECONDS = 5.0
"""Seconds after which Ray's process on the driver's own machine counts as dead. It never comes back."""
POLL_SECONDS = 1.0
ANSWER_SECONDS = 2.0
REACT_SECONDS = 5.0
"""Seconds for the main thread to react. It cannot react while it waits for an answer within Ray."""
LAST_SECONDS = 30.0
"""Most seconds for the main thread to close its files and runs."""


class CannotGoOnError(BaseException):
    """The reason why a driver ends, in one line. It is no `Exception`: Tune would take it for a trial's error."""

    again: Callable[[str], None] | None = None
    """Begins anew in place of an end, if it can. Else it returns."""


class TakenOverError(CannotGoOnError):
    """Another driver runs the sweep now and owns its runs and files."""


@contextlib.contextmanager
def watched(
    sweep: str,
    leases: Sequence[Lease],
    resume: str,
    again: Callable[[str], None] | None = None,
    processes: Sequence[psutil.Process] = (),
) -> Iterator[Watch]:
    """Watch Ray and the sweep's lock as long as the block lasts. Raises `CannotGoOnError` in the main thread.

    `resume` is the command that continues the sweep. `again` begins anew when Ray has died. `processes` are those of Ray
    that have to run.
    """
    watch = Watch(sweep, leases, resume, again, processes)
    before = signal.signal(signal.SIGUSR2, watch.end)
    thread = threading.Thread(target=watch.run, daemon=True)
    thread.start()
    try:
        yield watch
    except Exception as error:  # Ray's own errors can come before the patience is over
        if (why := watch.silent()) is not None:
            raise watch.died(why) from error
        raise
    finally:
        watch.ended.set()
        thread.join()  # it may be about to send the signal
        signal.signal(signal.SIGUSR2, before)


class Watch:
    """Checks the head, this machine's node and the sweep's lock in a thread of its own."""

    def __init__(
        self,
        sweep: str,
        leases: Sequence[Lease],
        resume: str,
        again: Callable[[str], None] | None,
        processes: Sequence[psutil.Process],
    ) -> None:
        import ray

        context = ray.get_runtime_context()
        (node,) = [node for node in ray.nodes() if node["NodeID"] == context.get_node_id()]
        self.head, self.node = context.gcs_address, f"{node['NodeManagerAddress']}:{node['NodeManagerPort']}"
        self.sweep, self.leases, self.resume, self.again = sweep, leases, resume, again
        self.processes = {process: name_of(process) for process in processes}
        self.ended, self.reacted = threading.Event(), threading.Event()
        self.close: Callable[[], None] | None = None
        """Closes the sweep's runs if the main thread does not do it in time."""
        self.closing = False
        """Whether the main thread closes them already, for another error. It is not interrupted then."""
        self.error: CannotGoOnError | None = None

    def run(self) -> None:
        patience = {self.head: SHARE * float(os.environ.get(LIMIT, 60)), self.node: NODE_SECONDS}
        answered = dict.fromkeys(patience, time.monotonic())
        while not self.ended.wait(POLL_SECONDS):
            answered |= {address: time.monotonic() for address in patience if answers(address)}
            if any(lease.lost for lease in self.leases):
                self._stop(TakenOverError(f"sweep '{self.sweep}' was taken over by another driver, and goes on there"))
            elif any(map(has_ended, self.processes)) or any(
                time.monotonic() - answered[address] >= patience[address] for address in patience
            ):
                self._stop(self.died(self.silent() or self._died("node of this machine", self.node)))

    def died(self, why: str) -> CannotGoOnError:
        """Return the error for a Ray that has died."""
        error = CannotGoOnError(why)
        error.again = self.again
        return error

    def silent(self) -> str | None:
        """Return the part of Ray that does not answer or has ended, and the next step. None if all are well."""
        if not answers(self.head):
            return self._died("head", self.head)
        if not answers(self.node):
            return self._died("node of this machine", self.node)
        for process, name in self.processes.items():
            if has_ended(process):
                return self._died(name, f"process {process.pid}")
        return None

    def end(self, number: int, frame: FrameType | None) -> None:
        """Handle the signal that `run` sends to the main thread."""
        assert self.error is not None, "somebody else sent SIGUSR2"
        self.reacted.set()
        if not self.closing:
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
        if self.reacted.wait(REACT_SECONDS) and self.ended.wait(LAST_SECONDS):
            return
        # It waits within Ray, perhaps where Tune ends its trials.
        if self.close is not None and not self.closing and not isinstance(error, TakenOverError):
            self.close()
        if not self.ended.is_set():
            leave(error)


def name_of(process: psutil.Process) -> str:
    """Return what a process of Ray is called in a message."""
    return process.name().rpartition("::")[2]


def answers(address: str) -> bool:
    """Whether something listens at ``host:port``."""
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=ANSWER_SECONDS):
            return True
    except OSError:
        return False


def leave(error: CannotGoOnError) -> NoReturn:
    """End the process at once, or begin anew. Python's regular end would wait for Ray, and Ray for its head."""
    sys.stdout.flush()
    if error.again is not None:
        error.again(str(error))
    print(f"error: {error}", file=sys.stderr, flush=True)
    os._exit(EXIT_FAILED)
