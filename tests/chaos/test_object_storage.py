"""A sweep at an S3 server: its driver is killed and the machine lost; the server is away, for a while or for good."""

from __future__ import annotations

import shutil
import signal
import time
from collections.abc import Iterator

import pytest
from optuna.trial import TrialState

from fame.errors import EXIT_FAILED
from tests.chaos.harness import Undisturbed, assert_sound, command, record
from tests.tuning.object_stores import BUCKET, S3, s3_server
from tests.tuning.sweeps import Sweeps, wait_until

pytestmark = pytest.mark.slow

PLACE = f"s3://{BUCKET}/runs"
HOW = ("--storage", PLACE)
AWAY_SECONDS = 20.0


@pytest.fixture
def server(sweeps: Sweeps) -> Iterator[S3]:
    with s3_server() as server:
        sweeps.environment |= server.environment
        yield server


def one_is_through(sweeps: Sweeps, name: str) -> bool:
    return any(trial.state == TrialState.COMPLETE for trial in sweeps.study(name))


def bring(server: S3, sweeps: Sweeps, name: str) -> None:
    """Copy the sweep's checkpoints to where those of a local one lie, to be looked at."""
    for path, content in server.files(f"runs/{name}/trials").items():
        target = sweeps.folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)


def test_the_driver_is_killed_and_its_machine_lost(sweeps: Sweeps, server: S3, undisturbed: Undisturbed) -> None:
    running = sweeps.start(*command(sweeps, "lost", *HOW))
    killed = sweeps.stop(running, signal.SIGKILL, lambda: one_is_through(sweeps, "lost"))
    assert killed.returncode == -signal.SIGKILL
    wait_until(lambda: not sweeps.processes())
    shutil.rmtree(sweeps.folder / "runs")
    done = sweeps.run(*command(sweeps, "lost", *HOW), "--resume")
    assert done.returncode == 0 and done.stderr == "", done.stderr
    bring(server, sweeps, "lost")
    record("S3: driver kill -9, its folder lost", "`--resume`", assert_sound(sweeps, "lost", undisturbed))


def test_the_server_is_away_for_a_while(sweeps: Sweeps, server: S3, undisturbed: Undisturbed) -> None:
    running = sweeps.start(*command(sweeps, "away", *HOW))
    wait_until(lambda: one_is_through(sweeps, "away") or running.poll() is not None)
    server.down()
    time.sleep(AWAY_SECONDS)
    server.up()
    out, err = running.communicate()
    assert running.returncode == 0 and err == "", err
    assert f"storage {PLACE}/away: it does not answer" in out and f"storage {PLACE}/away answers again" in out
    bring(server, sweeps, "away")
    record(f"S3: server away for {AWAY_SECONDS:.0f} s", "by itself", assert_sound(sweeps, "away", undisturbed))


def test_the_server_is_away_for_good(sweeps: Sweeps, server: S3, undisturbed: Undisturbed) -> None:
    running = sweeps.start(*command(sweeps, "gone", *HOW))
    wait_until(lambda: one_is_through(sweeps, "gone") or running.poll() is not None)
    server.down()
    _, err = running.communicate()
    assert running.returncode == EXIT_FAILED and err.count("\n") == 1, err
    assert err.startswith(f"error: storage {PLACE}/gone: it does not answer") and "--resume" in err
    server.up()
    done = sweeps.run(*command(sweeps, "gone", *HOW), "--resume")
    assert done.returncode == 0 and done.stderr == "", done.stderr
    bring(server, sweeps, "gone")
    record("S3: server away for good", "`--resume`", assert_sound(sweeps, "gone", undisturbed))
