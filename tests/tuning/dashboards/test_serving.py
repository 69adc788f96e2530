"""Both pages of a sweep answer, and go with who started them, also if that is killed."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import optuna
import pytest

from fame.errors import EXIT_USER_ERROR
from tests.commands import call
from tuning.dashboards import __main__
from tuning.dashboards.serving import SOURCES
from tuning.storage.layout import Storage
from tuning.study.file import open_journal


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    """A working directory with a sweep of one trial."""
    storage = Storage.of(str(tmp_path / "runs"), "mine")
    storage.create({"options": {"tracking_uri": f"sqlite:///{tmp_path / 'mlflow.db'}"}})
    journal, _ = open_journal(storage.study)
    study = optuna.create_study(storage=journal, study_name="mine", direction="maximize")
    study.optimize(lambda trial: trial.suggest_float("lr", 0, 1), n_trials=1)
    return tmp_path


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 300
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.2)


def listens(address: str) -> bool:
    host, port = address.removeprefix("http://").split(":")
    with socket.socket() as probe:
        return probe.connect_ex((host, int(port))) == 0


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_both_pages_answer_on_loopback_until_who_started_them_ends(sweep, how):
    process = subprocess.Popen(
        [sys.executable, "-m", "tuning.dashboards"],
        cwd=sweep,
        env=os.environ | {"PYTHONPATH": str(SOURCES)},
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    try:
        words = process.stdout.readline().split()
        addresses = [word.rstrip("/") for word in words if word.startswith("http://127.0.0.1:")]
        assert words[0] == "mine:" and len(addresses) == 2
        until(lambda: all(map(listens, addresses)))
        with urllib.request.urlopen(f"{addresses[0]}/api/studies") as answer:
            assert b'"mine"' in answer.read()
        with urllib.request.urlopen(f"{addresses[1]}/health") as answer:
            assert answer.status == 200
        process.send_signal(how)
        process.wait(60)
        until(lambda: not any(map(listens, addresses)))
    finally:  # else a failure would wait for it
        process.kill()
        process.communicate()


def test_without_a_study_there_is_nothing_to_look_at(tmp_path):
    done = call(__main__.main, "--storage", tmp_path, "--name", "gone")
    assert done.code == EXIT_USER_ERROR
    assert done.err.startswith("error: there is no study at ") and done.err.count("\n") == 1
