"""The tracker against a real SQLite store and a real `mlflow server`."""

from __future__ import annotations

import http.server
import os
import pickle
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from fame.errors import UserError
from tuning import tracking
from tuning.tracking import Tracker
from tuning.tracking.callback import TrackingCallback
from tuning.tracking.runs import metric_name
from tuning.tracking.store import check_tracking_uri


class Server:
    """An `mlflow server` on a free port, which can be stopped and started again."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.uri = f"http://127.0.0.1:{self.port}"
        self.folder = folder
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(self.port)]
        command += ["--workers", "1", "--backend-store-uri", f"sqlite:///{self.folder}/server.db"]
        command += ["--artifacts-destination", str(self.folder / "artifacts")]
        with open(self.folder / "server.log", "ab") as log:
            self.process = subprocess.Popen(
                command,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env={**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
            )
        for _ in range(600):  # 10 s on an idle machine
            try:
                urllib.request.urlopen(f"{self.uri}/health", timeout=1).close()
                return
            except (urllib.error.URLError, OSError):
                time.sleep(0.2)
        raise RuntimeError((self.folder / "server.log").read_text())

    def stop(self) -> None:
        if self.process is not None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("mlflow"))
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def uri(tmp_path_factory: pytest.TempPathFactory) -> str:
    """One database for the file: making its tables takes 2 s."""
    return f"sqlite:///{tmp_path_factory.mktemp('store')}/runs of 'mine'.db"


@pytest.fixture
def experiment(request: pytest.FixtureRequest) -> str:
    return request.node.name


def children(tracker: Tracker) -> list:
    found = tracker._client.search_runs([tracker.experiment_id], f"tags.`mlflow.parentRunId` = '{tracker.parent_id}'")
    return sorted(found, key=lambda run: run.data.tags["trial"])


def history(tracker: Tracker, trial: str, key: str) -> list[tuple[int, float]]:
    (run,) = [run for run in children(tracker) if run.data.tags["trial"] == trial]
    return [(point.step, point.value) for point in tracker._client.get_metric_history(run.info.run_id, key)]


def fake_trial(trial_id: str, config: dict, status: str = "RUNNING", **last_result: object) -> SimpleNamespace:
    return SimpleNamespace(trial_id=trial_id, config=config, status=status, last_result=last_result, error_file=None)


def test_a_sweep_is_a_parent_with_a_child_per_trial(uri: str, experiment: str, tmp_path: Path) -> None:
    tracker = Tracker.open(uri, experiment, "first", {"fingerprint": "f00", "cpu": "some"})
    tracker.log_params({"space": "x" * 7000, "train.epochs": 3})
    (tmp_path / "config.yaml").write_text("seed: 0")
    tracker.log_file(tmp_path / "config.yaml", "best")
    ends = {"a": "finished", "b": "pruned", "c": "failed", "d": "interrupted"}
    for trial, status in ends.items():
        tracker.start_trial(trial, {"model.heads": 2, "train.lr": 1e-3, "on": True, "none": None}, "H2 N4 D64")
        tracker.log_epoch(trial, 1, {"ndcg@10": 0.05, "loss": 4.0}, timestamp=12.5)
        tracker.log_epoch(trial, 2, {"ndcg@10": 0.0612, "loss": 3.0})
        tracker.end_trial(trial, status, 0.0612, {"why": "test"})
    assert tracker.finish("finished") == 0

    parent = tracker._client.get_run(tracker.parent_id)
    assert parent.info.run_name == "first" and parent.info.status == "FINISHED"
    assert parent.data.tags["sweep"] == "first" and parent.data.tags["status"] == "finished"
    assert parent.data.params["space"].endswith("x…") and parent.data.params["train.epochs"] == "3"
    assert [f.path for f in tracker._client.list_artifacts(parent.info.run_id, "best")] == ["best/config.yaml"]
    runs = children(tracker)
    assert [run.info.status for run in runs] == ["FINISHED", "FINISHED", "FAILED", "KILLED"]
    assert {run.data.tags["trial"]: run.data.tags["status"] for run in runs} == ends
    assert all(run.data.tags["fingerprint"] == "f00" and "cpu" not in run.data.tags for run in runs)
    assert runs[0].info.run_name == "H2 N4 D64 · 0.0612"
    assert runs[0].data.params == {"model.heads": "2", "train.lr": "0.001", "on": "true", "none": "null"}
    assert history(tracker, "a", "ndcg_at_10") == [(1, 0.05), (2, 0.0612)]


def test_resume_finds_the_same_runs_and_doubles_no_epoch(uri: str, experiment: str) -> None:
    name = "it's \"%_\\ mine"  # quotes, wildcards, a backslash
    first = Tracker.open(uri, experiment, name, {"commit": "c1"})
    Tracker.open(uri, experiment, name, {})  # nothing ran yet: not in the way
    first.start_trial("a", {"x": 1}, "one")
    for epoch in (1, 2):
        first.log_epoch("a", epoch, {"loss": 1.0 / epoch})
    first.start_trial("gone", {"x": 1}, "never claimed")
    first.start_trial("again", {"x": 1}, "the number goes to another trial")
    with pytest.raises(UserError, match="choose another --name, or --resume"):
        Tracker.open(uri, experiment, name, {})
    other = Tracker.open(uri, experiment, "other", {})

    second = Tracker.open(uri, experiment, name, {"commit": "c2", "dirty": "true"}, resume=True)
    tags = second._client.get_run(second.parent_id).data.tags
    assert (tags["commit"], tags["resumed.commit"], tags["dirty"]) == ("c1", "c2", "true")
    assert second.parent_id == first.parent_id != other.parent_id
    second.start_trial("a", {"x": 1}, "one")
    for epoch in (1, 2, 3):
        second.log_epoch("a", epoch, {"loss": 1.0 / epoch})
    second.end_trial("a", "finished", 0.5)
    second.start_trial("again", {"x": 2}, "new")
    second.close_open_trials({"again": "pruned"})
    assert history(second, "a", "loss") == [(1, 1.0), (2, 0.5), (3, 1.0 / 3)]
    assert {run.data.tags["trial"]: (run.data.tags["status"], run.data.params["x"]) for run in children(second)} == {
        "a": ("finished", "1"),
        "gone": ("interrupted", "1"),
        "again (lost)": ("interrupted", "1"),
        "again": ("pruned", "2"),
    }


def test_a_trial_whose_parameters_changed_just_before_a_kill_keeps_its_run(uri: str, experiment: str) -> None:
    first = Tracker.open(uri, experiment, "population", {})
    first.start_trial("a", {"x": 1}, "one")
    second = Tracker.open(uri, experiment, "population", {}, resume=True)
    second.start_trial("a", {"x": 2}, "one", moved=True)
    (run,) = children(second)
    assert (run.data.params["x"], run.data.tags["now.x"]) == ("1", "2")


def test_many_parameters_changed_parameters_and_numbers_that_are_not_finite(uri: str, experiment: str) -> None:
    tracker = Tracker.open(uri, experiment, "wide", {f"tag {i}": i for i in range(120)})
    params: dict[str, object] = {f"key.{i}": i for i in range(250)} | {"odd@name ü": "Wert ✓"}
    tracker.start_trial("a", params, "wide")
    tracker.start_trial("a", {**params, "key.7": 70}, "wide")  # population based training
    tracker.log_epoch("a", 1, {"loss": float("nan"), "norm": float("inf"), "ndcg@10": 0.1})
    (run,) = children(tracker)
    assert len(run.data.params) == 251 and run.data.params["odd_at_name ü"] == "Wert ✓"
    assert run.data.params["key.7"] == "7" and run.data.tags["now.key.7"] == "70"
    assert run.data.metrics == {"ndcg_at_10": 0.1}
    assert run.data.tags["not_finite.loss"] == "nan at epoch 1"
    assert run.data.tags["not_finite.norm"] == "inf at epoch 1"


def test_metric_names_are_valid() -> None:
    from mlflow.utils.validation import _validate_metric_name

    assert metric_name("best_ndcg@10") == "best_ndcg_at_10"
    for name in ("hr@5", "a(b)", "loss%", "items/s"):
        _validate_metric_name(metric_name(name))


def test_tune_events_become_runs(uri: str, experiment: str, tmp_path: Path) -> None:
    tracker = Tracker.open(uri, experiment, "events", {})
    callback = TrackingCallback(tracker, "ndcg@10")
    copy = pickle.loads(pickle.dumps(callback))
    assert copy.tracker is tracker and uri.encode() not in pickle.dumps(callback)
    config = {"model.heads": 2, "model.experts": 4, "model.dim": 64, "train.lr": 0.001}
    report = {"epoch": 1, "ndcg@10": 0.1, "best_ndcg@10": 0.2, "stage": "fame", "pid": 4, "time_total_s": 2.0}
    done = fake_trial("t1", config, "TERMINATED", **report, finished=True)
    stopped = fake_trial("t2", config, "TERMINATED", **report)
    broken = fake_trial("t3", {"train.lr": 0.1}, "ERROR")
    broken.error_file = tmp_path / "error.txt"
    broken.error_file.write_text("Failure # 1\nTraceback\nValueError: out of memory\n\n")
    running = fake_trial("t4", config)
    for trial in (done, stopped, running):
        callback.on_trial_start(0, [], trial)
        callback.on_trial_result(0, [], trial, {**report, "finished": trial is done})
    callback.on_trial_complete(0, [], done)
    callback.on_trial_complete(0, [], stopped)
    callback.on_trial_error(0, [], broken)  # died before it started
    tracker.close_open_trials({})
    runs = children(tracker)
    assert [run.data.tags["status"] for run in runs] == ["finished", "pruned", "failed", "interrupted"]
    assert [run.info.run_name for run in runs] == ["H2 N4 D64 · 0.2000", "H2 N4 D64 · 0.2000", "t3", "H2 N4 D64"]
    assert runs[0].data.metrics == {"ndcg_at_10": 0.1, "best_ndcg_at_10": 0.2}
    assert runs[2].data.tags["error"] == "ValueError: out of memory"


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


def test_a_deleted_experiment_is_named(uri: str, experiment: str) -> None:
    tracker = Tracker.open(uri, experiment, "x", {})
    tracker._client.delete_experiment(tracker.experiment_id)
    with pytest.raises(UserError, match=r"was deleted; bring it back with: .* restore"):
        Tracker.open(uri, experiment, "y", {})


class Refusing(http.server.BaseHTTPRequestHandler):
    """A proxy whose server is down."""

    def do_GET(self) -> None:
        self.send_error(503)

    def log_message(self, *arguments: object) -> None:
        pass


def test_servers_that_do_not_answer() -> None:
    silent = socket.create_server(("127.0.0.1", 0))  # takes the connection and says nothing
    proxy = http.server.HTTPServer(("127.0.0.1", 0), Refusing)
    threading.Thread(target=proxy.serve_forever, daemon=True).start()
    ports = {"silent": silent.getsockname()[1], "proxy": proxy.server_port, "nobody": 9}
    try:
        for port in ports.values():
            started = time.monotonic()
            with pytest.raises(UserError, match=r"is not reachable .*; start the server, or use") as caught:
                Tracker.open(f"http://me:secret@127.0.0.1:{port}", "e", "s", {})
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
            Tracker.open(f"http://127.0.0.1:{web.server_port}", "e", "s", {})
    finally:
        web.shutdown()
        web.server_close()


def test_values_wait_while_the_server_is_away(
    server: Server,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    tracker = Tracker.open(server.uri.replace("://", "://me:secret@"), "away", "s", {})
    assert tracker.where == server.uri.replace("://", "://***@")
    tracker.start_trial("a", {"x": 1}, "one")
    tracker.log_epoch("a", 1, {"loss": 1.0})
    server.stop()
    started = time.monotonic()
    for epoch in range(2, 40):
        tracker.log_epoch("a", epoch, {"loss": 1.0 / epoch})
    tracker.start_trial("b", {"x": 2}, "two")  # begins and ends unseen
    tracker.log_epoch("b", 1, {"loss": 9.0})
    tracker.end_trial("b", "pruned", 0.1)
    assert time.monotonic() - started < 3
    assert tracker.flush(0.5) == 41
    assert "41 writes of sweep 's' are not in it" in caplog.text

    server.start()
    for epoch in (39, 40):  # 39 a second time
        tracker.log_epoch("a", epoch, {"loss": 1.0 / epoch})
    (tmp_path / "a.txt").write_text("a")
    tracker.log_file(tmp_path / "a.txt")
    tracker.end_trial("a", "finished", 0.2)
    assert tracker.finish("finished") == 0
    assert "answers again" in caplog.text
    assert history(tracker, "a", "loss") == [(epoch, 1.0 / epoch) for epoch in range(1, 41)]
    first, second = children(tracker)
    assert second.info.status == "FINISHED" and second.data.tags["status"] == "pruned"
    assert first.info.run_name == "one · 0.2000"
    assert [f.path for f in tracker._client.list_artifacts(tracker.parent_id)] == ["a.txt"]

    # An answer that gets lost: the write is tried again and has the effect of once.
    create = tracker._client.create_run

    def lose_the_answer(*arguments: object, **named: object) -> None:
        create(*arguments, **named)
        monkeypatch.undo()
        raise tracking_timeout()

    monkeypatch.setattr(tracker._client, "create_run", lose_the_answer)
    tracker.start_trial("c", {"x": 3}, "three")
    assert tracker.flush() == 0
    assert [run.data.tags["trial"] for run in children(tracker)] == ["a", "b", "c"]
    assert "secret" not in caplog.text + "".join(capfd.readouterr())


def tracking_timeout() -> Exception:
    from mlflow.exceptions import MlflowException
    from requests.exceptions import ReadTimeout

    error = MlflowException("API request failed with timeout")
    error.__cause__ = ReadTimeout()
    return error


def test_other_errors_are_raised_once(uri: str, experiment: str) -> None:
    from mlflow.exceptions import MlflowException

    tracker = Tracker.open(uri, experiment, "s", {})
    tracker.start_trial("a", {}, "one")
    tracker._client.delete_run(children(tracker)[0].info.run_id)
    with pytest.raises(MlflowException, match="active"):
        tracker.log_epoch("a", 1, {"loss": 1.0})
    assert tracker.flush() == 0


def test_two_sweeps_may_fill_a_new_database_at_once(tmp_path: Path) -> None:
    program = "import sys; from tuning.tracking import Tracker; Tracker.open(sys.argv[1], 'e', sys.argv[2], {})"
    uri = f"sqlite:///{tmp_path}/new.db"
    both = [subprocess.Popen([sys.executable, "-c", program, uri, name]) for name in ("a", "b")]
    assert [process.wait() for process in both] == [0, 0]
    assert tracking.Tracker.open(uri, "e", "a", {}, resume=True).where == uri
