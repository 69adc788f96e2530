"""MLflow's server goes away, for a while or for good, and the driver is killed before it writes to MLflow."""

from __future__ import annotations

import re
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from mlflow.tracking import MlflowClient

from tests.chaos.faulty import faulty
from tests.chaos.faulty_model import PACE
from tests.chaos.harness import TRIALS, Undisturbed, assert_sound, command, record
from tests.tuning.mlflow_server import Server
from tests.tuning.sweeps import Sweeps, wait_until

pytestmark = pytest.mark.slow

AWAY = "does not answer"
LONG, SECONDS = ("--epochs", "40"), 1
"""So many epochs, each longer by so many seconds: two trials at a time go on for two minutes, twice as long as the
server is away."""


@pytest.fixture
def server(sweeps: Sweeps) -> Iterator[Server]:
    """Its runs are where `Sweeps` looks for them."""
    server = Server(sweeps.folder)
    server.start()
    yield server
    server.stop()


def points(sweeps: Sweeps, name: str) -> int:
    """Epochs that MLflow has of all trials."""
    _, runs = sweeps.runs(name)
    return sum(len(sweeps.steps(run)) for run in runs.values())


def assert_all_is_there(sweeps: Sweeps, name: str, server: Server | None = None) -> None:
    parent, _ = sweeps.runs(name)
    assert (parent.info.status, parent.data.tags["status"]) == ("FINISHED", "finished")
    client = sweeps.client() if server is None else MlflowClient(server.uri)
    files = {file.path for file in client.list_artifacts(parent.info.run_id, "best")}
    assert "best/model.safetensors" in files


def resumed(sweeps: Sweeps, done: subprocess.CompletedProcess) -> subprocess.CompletedProcess:
    """Do what the sweep's last lines say."""
    (words,) = re.findall(r"bring them up to date with: .*tuning/sweep\.py (.*)$", done.stdout, re.MULTILINE)
    return sweeps.run(*words.split())


def test_the_server_is_away_for_a_minute(sweeps: Sweeps, server: Server, tmp_path: Path) -> None:
    calm = Sweeps(tmp_path / "calm")
    expected = calm.run(*command(calm, "u", *LONG))
    assert expected.returncode == 0, expected.stderr

    sweeps.environment[PACE] = str(SECONDS)
    process = sweeps.start(*faulty(sweeps, "m", {}, "--tracking-uri", server.uri, *LONG))
    wait_until(lambda: sweeps.epochs("m") > 5 or process.poll() is not None)
    server.stop()
    began, before = time.monotonic(), sweeps.epochs("m")
    time.sleep(60)
    assert process.poll() is None, process.communicate()
    during = sweeps.epochs("m") - before
    assert during > 5
    server.start()
    away = time.monotonic() - began
    wait_until(lambda: process.poll() is not None or points(sweeps, "m") >= before + during)
    assert process.poll() is None, "the sweep ended before MLflow had all epochs"
    done = sweeps.end(process)
    assert done.returncode == 0
    said = done.stderr.splitlines()
    assert len(said) == 2 and AWAY in said[0] and "answers again" in said[1], said
    assert_all_is_there(sweeps, "m", server)
    again = assert_sound(sweeps, "m", Undisturbed.of(calm, "u"))
    record(f"MLflow's server away for {away:.0f} s", "by itself", again)


def test_the_server_is_gone_and_comes_back_for_resume(sweeps: Sweeps, server: Server, undisturbed: Undisturbed) -> None:
    process = sweeps.start(*command(sweeps, "m", "--tracking-uri", server.uri))
    wait_until(lambda: sweeps.epochs("m") > 2 or process.poll() is not None)
    server.stop()
    done = sweeps.end(process)
    assert done.returncode == 0 and len(done.stderr.splitlines()) == 1 and AWAY in done.stderr, done.stderr
    assert "trials are not up to date there; once it does" in done.stdout

    still = resumed(sweeps, done)  # nobody is there yet
    assert still.returncode == 0 and AWAY in still.stderr

    server.start()
    done = resumed(sweeps, still)
    assert done.returncode == 0 and done.stderr == "", done.stderr
    assert_all_is_there(sweeps, "m", server)
    record("MLflow's server gone for good", "--resume, once it is back", assert_sound(sweeps, "m", undisturbed))


def test_the_driver_is_killed_while_the_server_is_away(
    sweeps: Sweeps, server: Server, undisturbed: Undisturbed
) -> None:
    args = command(sweeps, "m", "--tracking-uri", server.uri)
    process = sweeps.start(*args)
    wait_until(lambda: sweeps.epochs("m") > 2 or process.poll() is not None)
    server.stop()
    before = sweeps.epochs("m")
    killed = sweeps.stop(process, signal.SIGKILL, lambda: sweeps.epochs("m") > before + 5)
    assert killed.returncode == -signal.SIGKILL
    wait_until(lambda: not sweeps.processes())
    server.start()
    done = sweeps.run(*args, "--resume")
    assert done.returncode == 0 and done.stderr == "", done.stderr
    assert_all_is_there(sweeps, "m", server)
    again = assert_sound(sweeps, "m", undisturbed)
    record("kill -9 of the sweep's driver while MLflow's server is away", "--resume, once it is back", again)


KILLED = """
import os, signal, sys
from tuning.tracking.writer import Writer
from tuning.sweep import main
from fame.errors import run_command

name, left = sys.argv.pop(1), [int(sys.argv.pop(1))]
write = getattr(Writer, name)

def killed(self, *arguments):
    left[0] -= 1
    if not left[0]:
        os.kill(os.getpid(), signal.SIGKILL)
    write(self, *arguments)

setattr(Writer, name, killed)
run_command(main)
"""


@pytest.mark.parametrize(("write", "number"), [("begin_sweep", 1), ("write_trial", 5), ("end_sweep", 1)])
def test_the_driver_is_killed_between_the_study_and_a_write_to_mlflow(
    sweeps: Sweeps, undisturbed: Undisturbed, write: str, number: int
) -> None:
    args = command(sweeps, "m")
    script = sweeps.folder / "killed.py"
    script.write_text(KILLED)
    killed = sweeps.end(sweeps.popen(str(script), write, str(number), *args))
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    wait_until(lambda: not sweeps.processes())
    assert len(sweeps.study("m")) <= TRIALS
    started = (sweeps.folder / "runs/m/sweep.yaml").exists()
    done = sweeps.run(*args, *(["--resume"] if started else []))
    assert done.returncode == 0 and done.stderr == "", done.stderr
    assert_all_is_there(sweeps, "m")
    again = assert_sound(sweeps, "m", undisturbed)
    record(f"kill -9 of the sweep's driver before the write {write} to MLflow", "--resume", again)


def test_a_database_that_was_lost_is_filled_again(sweeps: Sweeps, undisturbed: Undisturbed) -> None:
    args = command(sweeps, "m")
    assert sweeps.run(*args).returncode == 0
    (sweeps.folder / "mlflow.db").unlink()
    done = sweeps.run(*args, "--resume")
    assert done.returncode == 0 and done.stderr == "", done.stderr
    assert_all_is_there(sweeps, "m")
    again = assert_sound(sweeps, "m", undisturbed)
    record("MLflow's database lost after the sweep", "--resume", again, "when each value was reported")
