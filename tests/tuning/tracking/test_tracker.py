"""The tracker against a real SQLite store and a real `mlflow server`."""

from __future__ import annotations

import errno
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fame.errors import UserError
from tests.tuning.mlflow_server import Server, free_port
from tests.tuning.tracking.conftest import SPOOL, Open
from tests.tuning.tracking.seen import Seen
from tuning.tracking import Tracker


def test_a_sweep_is_a_parent_with_a_child_per_trial(open_tracker: Open, uri: str, experiment: str) -> None:
    tracker = open_tracker("first", {"fingerprint": "f00", "cpu": "some"})
    tracker.log_params({"space": "x" * 7000, "train.epochs": 3})
    config = tracker.spool.parent / "best/config.yaml"
    config.parent.mkdir()
    config.write_text("seed: 0")
    tracker.log_file(config, "best")
    ends = {"a": "finished", "b": "pruned", "c": "failed", "d": "interrupted"}
    for trial, status in ends.items():
        tracker.start_trial(trial, {"model.heads": 2, "train.lr": 1e-3, "on": True, "none": None}, "H2 N4 D64")
        tracker.log_epoch(trial, 1, {"ndcg@10": 0.05, "loss": 4.0})
        tracker.log_epoch(trial, 2, {"ndcg@10": 0.0612, "loss": 3.0})
        tracker.end_trial(trial, status, 0.0612, {"why": "test"})
    assert tracker.finish("finished") == 0
    assert not tracker.spool.exists()

    seen = Seen(uri, experiment, "first")
    parent = seen.parent
    assert parent.info.run_name == "first" and parent.info.status == "FINISHED"
    assert parent.data.tags["sweep"] == "first" and parent.data.tags["status"] == "finished"
    assert parent.data.params["space"].endswith("x…") and parent.data.params["train.epochs"] == "3"
    assert [f.path for f in seen.client.list_artifacts(parent.info.run_id, "best")] == ["best/config.yaml"]
    runs = seen.children()
    assert [run.info.status for run in runs] == ["FINISHED", "FINISHED", "FAILED", "KILLED"]
    assert {run.data.tags["trial"]: run.data.tags["status"] for run in runs} == ends
    assert all(run.data.tags["fingerprint"] == "f00" and "cpu" not in run.data.tags for run in runs)
    assert all(run.data.tags["epochs"] == "2" for run in runs)
    assert runs[0].info.run_name == "H2 N4 D64 · 0.0612"
    assert runs[0].data.params == {"model.heads": "2", "train.lr": "0.001", "on": "true", "none": "null"}
    assert seen.history("a", "ndcg_at_10") == [(1, 0.05), (2, 0.0612)]


def test_resume_finds_the_same_runs_and_doubles_no_epoch(open_tracker: Open, uri: str, experiment: str) -> None:
    name = "it's \"%_\\ mine"  # quotes, wildcards, a backslash
    assert open_tracker(name, {"commit": "c1"}).flush() == 0
    first = open_tracker(name)  # nothing ran yet: not in the way
    first.start_trial("a", {"x": 1}, "one")
    for epoch in (1, 2):
        first.log_epoch("a", epoch, {"loss": 1.0 / epoch})
    first.start_trial("gone", {"x": 1}, "never claimed")
    assert first.flush() == 0
    with pytest.raises(UserError, match="choose another --name, or --resume"):
        open_tracker(name)
    open_tracker("other")
    seen = Seen(uri, experiment, name)
    parent_id = seen.parent.info.run_id

    second = open_tracker(name, {"commit": "c2", "dirty": "true"}, resume=True)
    second.start_trial("a", {"x": 2}, "one")
    for epoch in (1, 2, 3):
        second.log_epoch("a", epoch, {"loss": 7.0 if epoch < 3 else 0.3})
    second.end_trial("a", "finished", 0.5)
    second.start_trial("b", {"x": 2}, "new")
    second.close_open_trials({"b": "pruned"})
    assert second.flush() == 0
    tags = seen.parent.data.tags
    assert (tags["commit"], tags["resumed.commit"], tags["dirty"]) == ("c1", "c2", "true")
    assert seen.parent.info.run_id == parent_id
    assert seen.history("a", "loss") == [(1, 1.0), (2, 0.5), (3, 0.3)]
    assert (seen.child("a").data.params["x"], seen.child("a").data.tags["now.x"]) == ("1", "2")
    ended = {"a": ("FINISHED", "finished"), "gone": ("KILLED", "interrupted"), "b": ("FINISHED", "pruned")}
    assert seen.statuses() == ended

    third = open_tracker(name, resume=True)  # an ended trial goes on
    third.start_trial("a", {"x": 3}, "one")
    third.log_epoch("a", 3, {"loss": 9.0})
    third.log_epoch("a", 4, {"loss": 0.25})
    assert third.flush() == 0
    assert seen.statuses()["a"] == ("RUNNING", "running")
    assert seen.history("a", "loss")[-2:] == [(3, 0.3), (4, 0.25)]
    assert seen.child("a").data.tags["now.x"] == "3"


def test_many_parameters_changed_parameters_and_numbers_that_are_not_finite(
    open_tracker: Open, uri: str, experiment: str
) -> None:
    tracker = open_tracker("wide", {f"tag {i}": i for i in range(120)})
    params: dict[str, object] = {f"key.{i}": i for i in range(250)} | {"odd@name ü": "Wert ✓"}
    tracker.start_trial("a", params, "wide")
    tracker.start_trial("a", {**params, "key.7": 70}, "wide")  # population based training
    tracker.log_epoch("a", 1, {"loss": float("nan"), "norm": float("inf"), "ndcg@10": 0.1})
    for epoch in range(2, 1300):  # more metrics than a request may have
        tracker.log_epoch("a", epoch, {"ndcg@10": 0.1, "x" * 300: 1.0})
    assert tracker.flush() == 0
    seen = Seen(uri, experiment, "wide")
    (run,) = seen.children()
    assert len(run.data.params) == 251 and run.data.params["odd_at_name ü"] == "Wert ✓"
    assert run.data.params["key.7"] == "7" and run.data.tags["now.key.7"] == "70"
    assert run.data.metrics == {"ndcg_at_10": 0.1, "x" * 250: 1.0}
    assert run.data.tags["not_finite.loss"] == "nan at epoch 1"
    assert run.data.tags["not_finite.norm"] == "inf at epoch 1"
    assert [step for step, _ in seen.history("a", "ndcg_at_10")] == list(range(1, 1300))
    assert len([tag for tag in seen.parent.data.tags if tag.startswith("tag ")]) == 120


def test_a_run_that_a_user_deletes_stays_deleted_and_disturbs_nothing(
    open_tracker: Open, uri: str, experiment: str, caplog: pytest.LogCaptureFixture
) -> None:
    tracker = open_tracker("s")
    for trial in ("a", "b"):
        tracker.start_trial(trial, {}, "one")
    assert tracker.flush() == 0
    seen = Seen(uri, experiment, "s")
    seen.client.delete_run(seen.child("a").info.run_id)
    for trial in ("a", "b"):
        tracker.log_epoch(trial, 1, {"loss": 1.0})
    assert tracker.flush() == 0
    assert caplog.text.count("MLflow refuses a write of trial a (") == 1
    assert seen.history("b", "loss") == [(1, 1.0)]
    again = open_tracker("s", resume=True)
    again.start_trial("a", {}, "one")
    again.end_trial("a", "finished")
    assert again.recorded()["a"].status == "deleted"
    assert [run.data.tags["trial"] for run in seen.children()] == ["b"]


def test_values_wait_while_the_server_is_away(
    open_tracker: Open,
    experiment: str,
    server: Server,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    tracker = open_tracker("s", uri=server.uri.replace("://", "://me:secret@"))
    assert tracker.where == server.uri.replace("://", "://***@")
    tracker.start_trial("a", {"x": 1}, "one")
    tracker.log_epoch("a", 1, {"loss": 1.0})
    assert tracker.flush() == 0
    server.stop()
    started = time.monotonic()
    for epoch in range(2, 40):
        tracker.log_epoch("a", epoch, {"loss": 1.0 / epoch})
    tracker.start_trial("b", {"x": 2}, "two")  # begins and ends unseen
    tracker.log_epoch("b", 1, {"loss": 9.0})
    tracker.end_trial("b", "pruned", 0.1)
    assert time.monotonic() - started < 1
    assert tracker.flush(0.5) == tracker.waiting == 41
    assert len(tracker.spool.read_text().splitlines()) == 41 and "refused" in tracker.away

    server.start()
    for epoch in (39, 40):  # 39 a second time
        tracker.log_epoch("a", epoch, {"loss": 1.0 / epoch})
    (tracker.spool.parent / "a.txt").write_text("a")
    tracker.log_file(tracker.spool.parent / "a.txt")
    tracker.end_trial("a", "finished", 0.2)
    assert tracker.finish("finished") == 0
    assert not tracker.spool.exists() and tracker.away is None
    seen = Seen(server.uri, experiment, "s")
    assert seen.history("a", "loss") == [(epoch, 1.0 / epoch) for epoch in range(1, 41)]
    assert seen.statuses() == {"a": ("FINISHED", "finished"), "b": ("FINISHED", "pruned")}
    assert seen.child("a").info.run_name == "one · 0.2000"
    assert [f.path for f in seen.client.list_artifacts(seen.parent.info.run_id)] == ["a.txt"]
    messages = [record.getMessage() for record in caplog.records if record.name.startswith("tuning")]
    assert len(messages) == 2 and "answers again" in messages[1], messages
    assert f"what it is to get waits in {tracker.spool}" in messages[0]
    assert "secret" not in caplog.text + "".join(capfd.readouterr())


def test_what_waits_outlives_its_process_and_is_written_once(
    open_tracker: Open, experiment: str, server: Server
) -> None:
    first = open_tracker("s", uri=server.uri)
    first.start_trial("a", {"x": 1}, "one")
    first.log_epoch("a", 1, {"loss": 1.0})
    assert first.flush() == 0
    server.stop()
    first.log_epoch("a", 2, {"loss": 0.5})
    first.end_trial("a", "finished", 0.2)
    first.start_trial("b", {"x": 2}, "two")
    first.log_epoch("b", 1, {"loss": 2.0})
    assert first.flush(0) == 4
    first._delivery.close()

    gone_on = open_tracker("s", {"commit": "c2"}, uri=server.uri, resume=True)  # nobody answers yet
    assert gone_on.waiting == 5
    gone_on.start_trial("b", {"x": 2}, "two")
    gone_on.log_epoch("b", 1, {"loss": 7.0})  # known
    gone_on.log_epoch("b", 2, {"loss": 1.5})
    assert gone_on.flush(0) == 8
    waiting = gone_on.spool.read_bytes()
    server.start()
    assert gone_on.flush() == 0

    def check() -> None:
        seen = Seen(server.uri, experiment, "s")
        assert seen.parent.info.status == "RUNNING" and seen.parent.data.tags["commit"] == "c2"
        assert seen.statuses() == {"a": ("FINISHED", "finished"), "b": ("RUNNING", "running")}
        assert seen.history("a", "loss") == [(1, 1.0), (2, 0.5)]
        assert seen.history("b", "loss") == [(1, 2.0), (2, 1.5)]

    check()
    gone_on._delivery.close()
    gone_on.spool.write_bytes(waiting)  # as if killed before it was forgotten
    again = open_tracker("s", {"commit": "c2"}, uri=server.uri, resume=True)
    assert again.flush() == 0
    check()


@pytest.mark.parametrize("lost", ["create_run", "log_batch", "set_terminated"])
def test_an_answer_that_gets_lost(
    open_tracker: Open, uri: str, experiment: str, monkeypatch: pytest.MonkeyPatch, lost: str
) -> None:
    from mlflow.tracking import MlflowClient

    tracker = open_tracker("s")
    assert tracker.flush() == 0
    request = getattr(MlflowClient, lost)

    def lose_the_answer(*arguments: object, **named: object) -> None:
        request(*arguments, **named)
        monkeypatch.undo()
        raise tracking_timeout()

    monkeypatch.setattr(MlflowClient, lost, lose_the_answer)
    tracker.start_trial("a", {"x": 3}, "three")
    tracker.log_epoch("a", 1, {"loss": 1.0})
    tracker.end_trial("a", "finished", 0.5)
    assert tracker.flush() == 0
    assert getattr(MlflowClient, lost) is request, "nothing was lost"
    seen = Seen(uri, experiment, "s")
    assert seen.statuses() == {"a": ("FINISHED", "finished")}
    assert seen.history("a", "loss") == [(1, 1.0)]


def tracking_timeout() -> Exception:
    from mlflow.exceptions import MlflowException
    from requests.exceptions import ReadTimeout

    error = MlflowException("API request failed with timeout")
    error.__cause__ = ReadTimeout()
    return error


def test_a_file_that_is_gone_holds_nothing_up(
    open_tracker: Open, uri: str, experiment: str, caplog: pytest.LogCaptureFixture
) -> None:
    tracker = open_tracker("s")
    tracker.log_file(tracker.spool.parent / "gone.txt")
    tracker.set_tags({"after": "it"})
    assert tracker.flush() == 0
    assert "gone.txt is no longer there" in caplog.text
    assert Seen(uri, experiment, "s").parent.data.tags["after"] == "it"


def test_an_error_of_ours_is_raised_in_the_sweep(open_tracker: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    tracker = open_tracker("s")
    assert tracker.flush() == 0
    monkeypatch.setattr(tracker._delivery.writer, "_write_trial", None)
    tracker.start_trial("a", {}, "one")
    with pytest.raises(RuntimeError, match="writing to MLflow broke"):
        tracker.flush()
    with pytest.raises(RuntimeError, match="writing to MLflow broke"):
        tracker.log_epoch("a", 1, {"loss": 1.0})
    assert tracker.waiting == 1


def test_what_a_killed_first_start_left_is_not_written(open_tracker: Open, uri: str, experiment: str) -> None:
    first = open_tracker("s")
    spool = first.spool
    first._delivery.close()
    spool.parent.mkdir(exist_ok=True)
    spool.write_text('{"kind": "sweep values", "when": 1, "params": {"seed": "9"}}\n')
    second = open_tracker("s")
    second.log_params({"seed": 1})
    assert second.flush() == 0
    assert Seen(uri, experiment, "s").parent.data.params == {"seed": "1"}


def test_a_first_start_needs_an_answer(tmp_path: Path, experiment: str) -> None:
    dead = f"http://me:secret@127.0.0.1:{free_port()}"
    with pytest.raises(UserError, match="is not reachable") as caught:
        Tracker.open(dead, experiment, "s", {}, tmp_path / "new" / SPOOL)
    assert "secret" not in str(caught.value)
    assert not (tmp_path / "new").exists()


def test_two_sweeps_may_fill_a_new_database_at_once(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from tuning.tracking import Tracker; "
        "Tracker.open(sys.argv[1], 'e', sys.argv[2], {}, Path(sys.argv[2]) / 'spool').finish('finished')"
    )
    uri = f"sqlite:///{tmp_path}/new.db"
    command = [sys.executable, "-c", program, uri]
    environment = {"PYTHONPATH": str(Path(__file__).parents[3]), "PATH": ""}
    both = [subprocess.Popen([*command, name], cwd=tmp_path, env=environment) for name in ("a", "b")]
    assert [process.wait() for process in both] == [0, 0]
    assert [Seen(uri, "e", name).parent.info.status for name in ("a", "b")] == ["FINISHED", "FINISHED"]


def test_what_a_full_disk_does_not_take_is_left_to_resume(
    open_tracker: Open, uri: str, experiment: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(record: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    tracker = open_tracker("s")
    tracker.start_trial("t", {"a": 1}, "t")
    tracker.log_epoch("t", 1, {"m": 0.1})
    with monkeypatch.context() as patch:
        patch.setattr(tracker._delivery.spool, "append", full)
        tracker.log_epoch("t", 2, {"m": 0.2})
    tracker.log_epoch("t", 3, {"m": 0.3})  # not without the one before
    tracker.finish("interrupted")
    assert caplog.text.count("no space left on the device") == 1
    again = open_tracker("s", resume=True)
    again.start_trial("t", {"a": 1}, "t")
    for epoch in (1, 2, 3):
        again.log_epoch("t", epoch, {"m": epoch / 10})
    assert again.flush() == 0
    seen = Seen(uri, experiment, "s")
    (child,) = seen.children()
    assert [point.step for point in seen.client.get_metric_history(child.info.run_id, "m")] == [1, 2, 3]
