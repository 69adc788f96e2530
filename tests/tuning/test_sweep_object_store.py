"""Whole sweeps on an S3-compatible server on loopback: nothing but their URI is needed to go on with them."""

from __future__ import annotations

import json
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from optuna.trial import TrialState

from fame.errors import EXIT_USER_ERROR
from tests.tuning.object_stores import BUCKET, S3, s3_server
from tests.tuning.sweeps import TINY, Sweeps, assert_agree, wait_until
from tuning.study.trials import RAY_ID

pytestmark = pytest.mark.slow

PLACE = f"s3://{BUCKET}/runs"


@pytest.fixture(scope="module")
def server() -> Iterator[S3]:
    with s3_server() as server:
        yield server


@pytest.fixture
def sweeps(server: S3, tmp_path: Path) -> Sweeps:
    sweeps = Sweeps(tmp_path / "s")
    sweeps.environment |= server.environment
    return sweeps


def states(sweeps: Sweeps, name: str) -> list[TrialState]:
    return [trial.state for trial in sweeps.study(name)]


def test_a_sweep_is_killed_and_goes_on_from_its_uri_alone(sweeps: Sweeps, server: S3) -> None:
    # With a backbone, which trials share there.
    command = (*TINY, "--set", "backbone.epochs=1", "--trials", "4", "--epochs", "3", "--scheduler", "none")
    command = (*command, "--sampler", "random", "--storage", PLACE, "--name", "k")
    running = sweeps.start(*command)
    killed = sweeps.stop(running, signal.SIGKILL, lambda: TrialState.COMPLETE in states(sweeps, "k"))
    assert killed.returncode == -signal.SIGKILL
    finished = {t.user_attrs[RAY_ID]: t for t in sweeps.study("k") if t.state == TrialState.COMPLETE}
    wait_until(lambda: not sweeps.processes())
    shutil.rmtree(sweeps.folder / "runs")  # as on another machine
    done = sweeps.run(*command, "--resume")
    assert done.returncode == 0 and done.stderr == "", done.stderr
    assert states(sweeps, "k") == [TrialState.COMPLETE] * 4
    for trial in sweeps.study("k"):
        if (before := finished.get(trial.user_attrs[RAY_ID])) is not None:
            assert trial.intermediate_values == before.intermediate_values
    assert_agree(sweeps, "k")
    files = server.files("runs")
    exported = {path.name: path.read_bytes() for path in (sweeps.folder / "runs/k/best").iterdir()}
    assert {path.rpartition("/")[2]: files[path] for path in files if path.startswith("runs/k/best/")} == exported
    assert files["runs/k/study.log"] == (sweeps.folder / "runs/k/study.log").read_bytes()
    assert [path for path in files if path.startswith("runs/stages/") and path.endswith(".safetensors")]
    assert f"model   {PLACE}/k/best" in done.stdout
    winner = json.loads(files["runs/k/best/metrics.json"])
    assert winner["validation"]["ndcg@10"] == max(trial.value for trial in sweeps.study("k"))
    again = sweeps.run(*command)
    assert again.returncode == EXIT_USER_ERROR
    assert (
        again.stderr
        == f"error: --name k: there is a sweep of this name at {PLACE}/k; go on with --resume, or choose another\n"
    )


def test_so_does_one_at_an_endpoint_in_the_uri(sweeps: Sweeps, server: S3) -> None:
    del sweeps.environment["AWS_ENDPOINT_URL"]
    storage = ("--storage", PLACE + server.query)
    command = (*TINY, "--trials", "2", "--epochs", "4", "--scheduler", "none", *storage, "--name", "t")
    killed = sweeps.stop(sweeps.start(*command), signal.SIGKILL, lambda: sweeps.epochs("t") >= 2)
    assert killed.returncode == -signal.SIGKILL
    wait_until(lambda: not sweeps.processes())
    shutil.rmtree(sweeps.folder / "runs")
    done = sweeps.run("--resume", *storage)
    assert done.returncode == 0 and done.stderr == "", done.stderr
    assert states(sweeps, "t") == [TrialState.COMPLETE] * 2
    assert_agree(sweeps, "t")
    assert json.loads(server.files("runs/t/best")["runs/t/best/metrics.json"])["sweep"] == "t"
