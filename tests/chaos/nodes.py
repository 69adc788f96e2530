"""Ray clusters of several nodes on this machine, each node with its own address, session and processes."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.tuning.sweeps import wait_until

MARK = "FAME_TEST_NODE"
STARTS = 3
HEAD_HOST = "127.0.0.1"
PORTS = ("--min-worker-port=0", "--max-worker-port=0", "--dashboard-agent-listen-port=0")
"""Any that are free: there are other Rays on this machine."""


class Node:
    """`ray start` as a process of its own; `kill` is what a power cut does."""

    def __init__(self, host: str, session: Path, *args: str) -> None:
        self.mark, self.log = uuid.uuid4().hex, session.with_suffix(".log")
        for _ in range(STARTS):  # on a busy machine it can miss its own time limits
            self.process = self._start(host, session, args)
            wait_until(lambda: b"Ray runtime started" in self.log.read_bytes() or self.process.poll() is not None)
            if self.process.poll() is None:
                return
            self.kill()
        raise AssertionError(self.log.read_text())

    def _start(self, host: str, session: Path, args: tuple[str, ...]) -> subprocess.Popen:
        with self.log.open("wb") as log:
            return subprocess.Popen(
                [
                    *(sys.executable, "-m", "ray.scripts.scripts", "start", "--block", f"--node-ip-address={host}"),
                    *(
                        "--disable-usage-stats",
                        f"--temp-dir={session}",
                        "--object-store-memory=100000000",
                        *PORTS,
                        *args,
                    ),
                ],
                env=os.environ | {MARK: self.mark, "RAY_AUTH_MODE": "disabled", "RAY_worker_niceness": "0"},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def processes(self, name: str = "") -> list[int]:
        """Its processes whose command has `name` in it."""
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                ours = f"{MARK}={self.mark}".encode() in (process / "environ").read_bytes()
                if ours and name.encode() in (process / "cmdline").read_bytes():
                    found.append(int(process.name))
        return found

    def kill(self) -> None:
        while found := self.processes():
            for process in found:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL)
            self.process.wait()

    @contextlib.contextmanager
    def stands_still(self) -> Iterator[None]:
        """Trials on it make no step within the block."""
        training = self.processes("ray::")
        for process in training:
            os.kill(process, signal.SIGSTOP)
        try:
            yield
        finally:
            for process in training:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process, signal.SIGCONT)


class Cluster:
    """A head, on which sweeps run, and nodes that come and go."""

    def __init__(self, folder: Path, end: Callable[[Node], None]) -> None:
        self.folder, self.end, self.count = folder, end, 0
        self.port = free_port()
        self.address = f"{HEAD_HOST}:{self.port}"

    def head(self, cpus: int) -> Node:
        client = ("--ray-client-server-port", str(free_port()))
        return self._node(
            HEAD_HOST, "--head", "--port", str(self.port), *client, "--include-dashboard=false", f"--num-cpus={cpus}"
        )

    def worker(self, host: str, cpus: int = 1) -> Node:
        return self._node(host, "--address", self.address, f"--num-cpus={cpus}")

    def _node(self, host: str, *args: str) -> Node:
        self.count += 1
        node = Node(host, self.folder / f"n{self.count}", *args)
        self.end(node)
        return node


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HEAD_HOST, 0))
        return probe.getsockname()[1]
