"""MLflow as a team has it: an `mlflow server` whose runs are in PostgreSQL. Both go away and come back."""

from __future__ import annotations

import importlib.util
import signal
from collections.abc import Iterator

import pytest

from tests.tuning.mlflow_server import Server
from tests.tuning.postgres import Postgres, program
from tests.tuning.sweeps import TINY, Sweeps, assert_agree, wait_until
from tests.tuning.tracking.conftest import Open
from tests.tuning.tracking.seen import Seen

# They run here once more, with this file's fixtures.
from tests.tuning.tracking.test_projection import (  # noqa: F401
    test_a_server_that_is_away_gets_all_when_it_is_back,
    test_a_sweep_goes_on_without_its_server_and_the_next_process_brings_it_up_to_date,
    test_a_sweep_is_a_parent_with_a_child_per_trial,
    test_an_answer_that_gets_lost,
    test_many_parameters_changed_parameters_and_numbers_that_are_not_finite,
    test_resume_finds_the_same_runs_and_doubles_no_epoch,
)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(program("initdb") is None, reason="needs PostgreSQL: apt-get install postgresql"),
    pytest.mark.skipif(importlib.util.find_spec("psycopg") is None, reason="needs psycopg (requirements-test.txt)"),
]


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    postgres = Postgres()
    try:
        postgres.start()
        yield postgres
    finally:
        postgres.remove()


@pytest.fixture(scope="module")
def server(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("mlflow"), postgres.uri)
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def uri(server: Server) -> str:
    return server.uri


def test_a_database_that_is_away_gets_all_when_it_is_back(
    open_sweep: Open, postgres: Postgres, uri: str, experiment: str
) -> None:
    sweep = open_sweep("s")
    sweep.begin("a")
    assert sweep.projection.update()
    postgres.stop()
    for epoch in range(1, 20):
        sweep.report("a", epoch, 0.1, loss=1.0 / epoch)
    sweep.end("a", "finished")
    assert not sweep.projection.update(0.5)
    postgres.start()
    assert sweep.projection.update(60)
    seen = Seen(uri, experiment, "s")
    assert seen.history("a", "train/loss") == [(epoch, 1.0 / epoch) for epoch in range(1, 20)]
    assert seen.statuses() == {"a": ("FINISHED", "finished")}


def test_a_sweep_whose_database_and_server_are_killed(tmp_path, postgres: Postgres, server: Server, uri: str) -> None:
    sweeps = Sweeps(tmp_path / "p", uri)
    args = (*TINY, "--tracking-uri", uri, "--scheduler", "none", "--name", "p")
    process = sweeps.start(*args, "--trials", "4", "--epochs", "8")
    wait_until(lambda: sweeps.epochs("p") > 2 or process.poll() is not None)
    postgres.stop()
    server.stop()
    before = sweeps.epochs("p")
    killed = sweeps.stop(process, signal.SIGKILL, lambda: sweeps.epochs("p") > before + 2)
    assert killed.returncode == -signal.SIGKILL
    postgres.start()
    server.start()
    wait_until(lambda: not sweeps.processes())
    done = sweeps.run(*args, "--trials", "4", "--epochs", "8", "--resume")
    assert done.returncode == 0 and done.stderr == "", done.stderr
    assert_agree(sweeps, "p")
    parent, runs = sweeps.runs("p")
    assert parent.info.status == "FINISHED" and len(runs) == 4
    assert sweeps.client().list_artifacts(parent.info.run_id, "best")
