"""Optuna's dashboard and MLflow's pages of a sweep, on this machine alone, for as long as somebody looks.

Both run under `tuning.dashboards.servers`, a process that ends with the one that started it, however that ends.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

HOST = "127.0.0.1"
SOURCES = Path(__file__).parents[2]
ENDING_SECONDS = 10.0


@dataclass(frozen=True, kw_only=True)
class Pages:
    """Where to look. The pages answer some seconds after they were started."""

    study: str
    runs: str

    def __str__(self) -> str:
        return f"Optuna {self.study}  MLflow {self.runs}"


@contextlib.contextmanager
def dashboards(study: Path, tracking_uri: str, log: Path) -> Iterator[Pages]:
    """Serve the pages of a study file and of a checked tracking address while the block lasts.

    An MLflow server has its own pages; of a database they are served here. What the servers say goes to `log`.
    """
    study_port, runs_port = free_ports(2)
    served = tracking_uri.startswith("sqlite:")
    command = [
        sys.executable,
        "-m",
        "tuning.dashboards.servers",
        "--study",
        str(study),
        "--study-port",
        str(study_port),
    ]
    if served:
        command += ["--runs", tracking_uri, "--runs-port", str(runs_port)]
    path = os.pathsep.join(filter(None, (str(SOURCES), os.environ.get("PYTHONPATH"))))
    with log.open("ab") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,  # its end is the sign to leave, also if this process is killed
            stdout=output,
            stderr=output,
            env=os.environ | {"PYTHONPATH": path},
            start_new_session=True,
        )
    try:
        yield Pages(study=f"http://{HOST}:{study_port}", runs=f"http://{HOST}:{runs_port}" if served else tracking_uri)
    finally:
        process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(ENDING_SECONDS)
        process.kill()
        process.wait()


def free_ports(count: int) -> list[int]:
    """Ports that nothing listens on at the moment."""
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind((HOST, 0))
        return [each.getsockname()[1] for each in sockets]
