"""`mlflow models serve`: a process of its own, real HTTP."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.tuning.mlflow_server import free_port

Ask = Callable[[bytes], tuple[int, dict]]
"""Posts a body; returns status and answer."""


@contextlib.contextmanager
def serving(command: str, folder: Path) -> Iterator[Ask]:
    """Run the command that serves a registered model as it is printed, in another folder than the repository's."""
    assert " mlflow models serve " in command
    port = free_port()
    with open(folder / "serve.log", "wb") as log:
        process = subprocess.Popen(
            ["bash", "-c", f"{command} --host 127.0.0.1 --port {port}"],
            cwd=folder,
            env={key: value for key, value in os.environ.items() if key != "PYTHONPATH"},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        _wait_until_it_answers(f"http://127.0.0.1:{port}/ping", process, folder / "serve.log")
        yield lambda body: _post(f"http://127.0.0.1:{port}/invocations", body)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _post(address: str, body: bytes) -> tuple[int, dict]:
    request = urllib.request.Request(address, body, {"content-type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def _wait_until_it_answers(url: str, process: subprocess.Popen, log: Path) -> None:
    for _ in range(1500):
        assert process.poll() is None, log.read_text()
        try:
            urllib.request.urlopen(url, timeout=1).close()
            return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    raise AssertionError(log.read_text())
