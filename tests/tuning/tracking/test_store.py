"""Addresses of stores, and what their errors mean."""

from __future__ import annotations

import http.server
import os
import socket
import threading
import time
from pathlib import Path

import pytest
from mlflow.exceptions import MlflowException, RestException

from fame.errors import UserError
from tests.tuning.tracking.conftest import METRIC, Open
from tests.tuning.tracking.seen import Seen
from tuning.tracking.addresses import check_tracking_uri, sqlite_uri
from tuning.tracking.projection import Projection
from tuning.tracking.store import connect, environment_changed, is_refusal


@pytest.mark.parametrize(
    ("address", "rule"),
    [
        ("mlruns", "use a database, for example sqlite:///mlruns.db"),
        ("file:///tmp/mlruns", "use a database"),
        ("foo://bar", "unknown kind 'foo'"),
        ("postgresql://me:secret@host/db", "unknown kind"),
        ("sqlite://", "names no file"),
        ("sqlite:///no/such/folder/x.db", "there is no folder"),
        ("sqlite:////proc/x.db", "cannot be written"),
        ("sqlite:///" + __file__, "file is not a database"),
        ("http://", "has no host"),
        ("http://host:port", "Port could not be cast"),
    ],
)
def test_unusable_addresses(address: str, rule: str) -> None:
    before = Path(__file__).read_bytes()
    with pytest.raises(UserError, match=rule) as caught:
        check_tracking_uri(address)
    assert "\n" not in str(caught.value) and "secret" not in str(caught.value)
    assert Path(__file__).read_bytes() == before


def test_a_deleted_experiment_is_named(open_sweep: Open, uri: str, experiment: str) -> None:
    assert open_sweep("x").projection.update()
    seen = Seen(uri, experiment, "x")
    seen.client.delete_experiment(seen.experiment_id)
    with pytest.raises(UserError, match=r"was deleted; bring it back with: .* restore"):
        open_sweep("y")


@pytest.mark.parametrize(
    ("error", "uri", "refused"),
    [
        (RestException({"error_code": "INVALID_PARAMETER_VALUE"}), "http://h", True),
        (RestException({"error_code": "RESOURCE_DOES_NOT_EXIST"}), "http://h", True),
        (RestException({"error_code": "BAD_REQUEST"}), "http://h", False),  # a server without its database
        (RestException({"error_code": "TEMPORARILY_UNAVAILABLE"}), "http://h", False),
        (RestException({"error_code": "PERMISSION_DENIED"}), "http://h", False),  # a token that ran out
        (MlflowException("a proxy's page", error_code=5001), "http://h", False),
        (MlflowException("it must be active", error_code=1000), "sqlite:///x.db", True),
        (OSError("gone"), "sqlite:///x.db", False),
    ],
)
def test_only_what_mlflow_itself_will_never_take_is_refused(error: Exception, uri: str, refused: bool) -> None:
    assert is_refusal(error, uri) is refused


class Refusing(http.server.BaseHTTPRequestHandler):
    """A proxy whose server is down."""

    def do_GET(self) -> None:
        self.send_error(503)

    def log_message(self, *arguments: object) -> None:
        pass


def test_a_variable_that_goes_away_while_the_environment_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAME_TEST_GOES", "1")
    reading = (os.environ[name] for name in list(os.environ))  # as `os.environ.items()`, in two steps
    monkeypatch.delenv("FAME_TEST_GOES")
    with pytest.raises(KeyError) as gone:
        list(reading)
    assert environment_changed(gone.value)
    wrapped = MlflowException(f"failed with exception {gone.value}")
    wrapped.__context__ = gone.value  # MLflow raises it in an `except`
    assert environment_changed(wrapped)
    with pytest.raises(KeyError) as other:
        {}["experiment"]
    for error in (other.value, KeyError("never raised"), MlflowException("no answer")):
        assert not environment_changed(error)


def test_servers_that_do_not_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "2")  # a user's own setting counts
    silent = socket.create_server(("127.0.0.1", 0))  # takes the connection and says nothing
    proxy = http.server.HTTPServer(("127.0.0.1", 0), Refusing)
    threading.Thread(target=proxy.serve_forever, daemon=True).start()
    ports = {"silent": silent.getsockname()[1], "proxy": proxy.server_port, "nobody": 9}
    try:
        for port in ports.values():
            started = time.monotonic()
            with pytest.raises(UserError, match=r"is not reachable .*; start the server, or use") as caught:
                Projection.open(f"http://me:secret@127.0.0.1:{port}", "e", "s", METRIC, tags={}, params={})
            assert time.monotonic() - started < 10
            assert "secret" not in str(caught.value) and "\n" not in str(caught.value)
    finally:
        proxy.shutdown()
        proxy.server_close()
        silent.close()


def test_a_server_that_is_something_else(tmp_path: Path) -> None:
    web = http.server.ThreadingHTTPServer(("127.0.0.1", 0), http.server.SimpleHTTPRequestHandler)
    threading.Thread(target=web.serve_forever, daemon=True).start()
    try:
        with pytest.raises(UserError, match="cannot be used"):
            Projection.open(f"http://127.0.0.1:{web.server_port}", "e", "s", METRIC, tags={}, params={})
    finally:
        web.shutdown()
        web.server_close()


def test_artifacts_move_with_the_folder_of_their_database(tmp_path: Path) -> None:
    (before := tmp_path / "before").mkdir()
    client, experiment = connect(sqlite_uri(before / "mlflow.db"), "e")
    run = client.create_run(experiment).info.run_id
    client.log_text(run, "text", "a.txt")
    other = client.create_experiment("elsewhere", (tmp_path / "other").as_uri())
    after = before.rename(tmp_path / "after ü")
    for _ in range(2):
        client, same = connect(sqlite_uri(after / "mlflow.db"), "e")
        assert same == experiment and [file.path for file in client.list_artifacts(run)] == ["a.txt"]
        client.log_text(client.create_run(experiment).info.run_id, "text", "b.txt")
    assert not before.exists() and client.get_experiment(other).artifact_location == (tmp_path / "other").as_uri()
