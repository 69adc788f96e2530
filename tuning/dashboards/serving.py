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

from tuning.storage.layout import Storage
from tuning.tracking.links import PORT as MLFLOW_PORT
from tuning.tracking.links import Place, address

HOST = "127.0.0.1"
LOG = "dashboards.log"
"""File in the sweep's folder for the output of the servers."""
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
def dashboards(storage: Storage, metric: str, tracking_uri: str, place: Place | None) -> Iterator[Pages]:
    """Serve the pages of a sweep's study and of a checked tracking address while the block lasts.

    An MLflow server has its own pages; of a database they are served here. `place` is the sweep's run in MLflow.
    """
    study_port, runs_port = free_ports(2, MLFLOW_PORT)
    served = tracking_uri.startswith("sqlite:")
    runs = f"http://{HOST}:{runs_port}/" if served else address(tracking_uri)
    command = [
        sys.executable,
        "-m",
        "tuning.dashboards.servers",
        "--study",
        str(storage.study),
        "--study-port",
        str(study_port),
        "--metric",
        metric,
        "--mlflow",
        runs,
    ]
    if served:
        command += ["--runs", tracking_uri, "--runs-port", str(runs_port)]
    path = os.pathsep.join(filter(None, (str(SOURCES), os.environ.get("PYTHONPATH"))))
    with (storage.local / LOG).open("ab") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,  # its end is the sign to leave, also if this process is killed
            stdout=output,
            stderr=output,
            env=os.environ | {"PYTHONPATH": path},
            start_new_session=True,
        )
    assert process.stdin is not None
    try:
        fragment = "" if place is None else place.trials(storage.name, metric)
        yield Pages(study=f"http://{HOST}:{study_port}", runs=f"{runs}{fragment}")
    finally:
        process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(ENDING_SECONDS)
        process.kill()
        process.wait()


def free_ports(count: int, *wanted: int) -> list[int]:
    """Ports that nothing listens on at the moment; the last ones are those wanted, if they are free."""
    with contextlib.ExitStack() as held:
        found = []
        for port in (*[0] * (count - len(wanted)), *wanted):
            each = held.enter_context(socket.socket())
            try:
                each.bind((HOST, port))
            except OSError:  # another program has it
                each.bind((HOST, 0))
            found.append(each.getsockname()[1])
        return found
