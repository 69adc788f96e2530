"""Addresses of SQLite files in any folder, a deleted experiment, and pages in messages."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fame.errors import UserError
from tests.tuning.mlflow_server import Server
from tuning.machines.checks import check_tracking
from tuning.tracking.addresses import check_tracking_uri, database_file
from tuning.tracking.store import check_experiment, connect, first_line


@pytest.fixture(scope="module")
def servers(tmp_path_factory) -> Iterator[Callable[[str], Server]]:
    """Starts one server for each prefix."""
    started: dict[str, Server] = {}

    def start(prefix: str) -> Server:
        if prefix not in started:
            started[prefix] = Server(tmp_path_factory.mktemp("server"), prefix=prefix)
            started[prefix].start()
        return started[prefix]

    yield start
    for server in started.values():
        server.stop()


@pytest.mark.parametrize("name", ["what?", "a%20b", "c#d", "a b", "é", "100%", "a&b=c"])
def test_a_working_folder_of_any_name(name, tmp_path, monkeypatch):
    (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / name)
    uri = check_tracking_uri("sqlite:///mlflow.db")
    assert check_tracking_uri(uri) == uri
    assert database_file(uri) == Path.cwd() / "mlflow.db"


def test_mlflow_makes_no_folder_of_the_address_and_keeps_artifacts_in_the_folder(tmp_path, monkeypatch):
    (tmp_path / "a%20b#c?").mkdir()
    monkeypatch.chdir(tmp_path / "a%20b#c?")
    client, experiment = connect(check_tracking_uri("sqlite:///mlflow.db"), "own")
    run = client.create_run(experiment).info.run_id
    client.log_text(run, "text", "file.txt")
    assert Path(client.download_artifacts(run, "file.txt", str(tmp_path))).read_text() == "text"
    assert {path.name for path in tmp_path.iterdir()} == {"a%20b#c?", "file.txt"}
    assert {path.name for path in Path.cwd().iterdir()} == {"mlflow.db", "mlartifacts"}


def test_a_question_mark_that_is_not_written_as_such():
    with pytest.raises(UserError, match="write %3F"):
        check_tracking_uri("sqlite:///what?/mlflow.db")


def test_a_deleted_experiment_is_found_without_mlflow(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    uri = check_tracking_uri("sqlite:///mlflow.db")
    check_experiment(uri, "own")
    with contextlib.closing(sqlite3.connect("mlflow.db")) as database:
        database.execute("CREATE TABLE experiments (experiment_id INT, name TEXT, lifecycle_stage TEXT)")
        database.execute("INSERT INTO experiments VALUES (7, 'own', 'deleted'), (8, 'other', 'active')")
        database.commit()
    check_experiment(uri, "other")
    with pytest.raises(UserError, match=r"'own' at .* was deleted; bring it back with: .*--experiment-id 7"):
        check_experiment(uri, "own")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("prefix", "given", "words"),
    [
        ("/mlflow", "", "MLflow answers at {host}/mlflow, so use this address"),
        ("/mlflow", "/tracking", "MLflow answers at {host}/mlflow, so use this address"),
        ("/mlflow", "/mlflow/", None),
        ("/ml/mlflow", "/ml", "MLflow answers at {host}/ml/mlflow, so use this address"),
        ("", "/mlflow", "MLflow answers at {host}, so use this address"),
        ("", "/#/experiments/1", "is the address of a page; use {host}"),
    ],
)
def test_a_server_below_a_path_is_found(prefix, given, words, servers):
    host = servers(prefix).uri.removesuffix(prefix)
    finding = check_tracking(f"{host}{given}", asks=True, experiment="own")
    assert finding.level == ("failure" if words else "ok")
    assert words is None or words.format(host=host) in str(finding)
    assert "\n" not in str(finding) and "<" not in str(finding)


def test_a_page_is_no_message():
    text = "API request to endpoint failed with error code 404 != 200. Response body: '<!doctype html>\n<html lang=en>'"
    assert first_line(ValueError(text)) == "API request to endpoint failed with error code 404 != 200"
