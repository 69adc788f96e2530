"""MLflow is brought up to date with the study, in a real SQLite store and by a real `mlflow server`."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fame.errors import UserError
from tests.tuning.mlflow_server import Server, free_port
from tests.tuning.tracking.conftest import METRIC, Open
from tests.tuning.tracking.seen import Seen
from tuning.faults import Fault
from tuning.tracking.projection import Projection

pytestmark = pytest.mark.filterwarnings("ignore:The `(json|parse_obj)` method:DeprecationWarning")  # of Ray Train


def test_a_sweep_is_a_parent_with_a_child_per_trial(open_sweep: Open, uri: str, experiment: str) -> None:
    sweep = open_sweep("first", {"fingerprint": "f00", "cpu": "some"})
    config = sweep.folder.parent / "best/config.yaml"
    config.parent.mkdir(parents=True)
    config.write_text("seed: 0")
    ends = {"a": "finished", "b": "pruned", "c": "failed", "d": "interrupted"}
    for trial, status in ends.items():
        sweep.begin(trial, {"model.heads": 2, "train.lr": 1e-3, "on": True, "none": None})
        sweep.report(trial, 1, 0.05, loss=4.0)
        sweep.report(trial, 2, 0.0612, loss=3.0)
        if status != "interrupted":
            sweep.end(trial, status, Fault(kind="diverged", reason="why") if status == "failed" else None)
    end = {"metrics": {"test/ndcg@10": 0.5}, "tags": {"best_trial": "a"}, "files": [(config, "best")]}
    assert sweep.projection.finish("finished", **end) and sweep.projection.is_complete

    seen = Seen(uri, experiment, "first")
    parent = seen.parent
    assert parent.info.run_name == "first" and parent.info.status == "FINISHED"
    assert parent.data.tags["sweep"] == "first" and parent.data.tags["status"] == "finished"
    assert parent.data.tags["best_trial"] == "a" and parent.data.params == {"trials": "8"}
    assert parent.data.metrics == {"test/ndcg_10": 0.5}
    assert [f.path for f in seen.client.list_artifacts(parent.info.run_id, "best")] == ["best/config.yaml"]
    runs = seen.children()
    assert [run.info.status for run in runs] == ["FINISHED", "FINISHED", "FAILED", "KILLED"]
    assert {run.data.tags["trial"]: run.data.tags["status"] for run in runs} == ends
    assert all(run.data.tags["fingerprint"] == "f00" and "cpu" not in run.data.tags for run in runs)
    assert all(run.data.tags["epochs"] == "2" for run in runs)
    assert [run.info.run_name for run in runs] == ["H2 · 0.0612", "H2 · 0.0612", "H2", "H2"]
    assert (runs[2].data.tags["failure"], runs[2].data.tags["error"]) == ("diverged", "why")
    assert runs[0].data.params == {"model.heads": "2", "train.lr": "0.001", "on": "true", "none": "null"}
    assert seen.history("a", "validation/ndcg_10") == [(1, 0.05), (2, 0.0612)]


def test_a_running_sweep_is_followed_every_few_seconds(open_sweep: Open, uri: str, experiment: str) -> None:
    sweep = open_sweep("s")
    sweep.begin("a")
    for epoch in (1, 2):
        sweep.report("a", epoch, epoch / 10)
        assert sweep.projection.update()
        seen = Seen(uri, experiment, "s")
        assert seen.history("a", "validation/ndcg_10") == [(number, number / 10) for number in range(1, epoch + 1)]
        assert seen.statuses() == {"a": ("RUNNING", "running")}
    sweep.end("a", "finished")
    assert sweep.projection.update() and sweep.projection.behind == 0
    assert seen.statuses() == {"a": ("FINISHED", "finished")}
    assert sweep.projection.finish("finished")
    assert sweep.projection.finish("interrupted"), "the sweep has ended"
    assert seen.parent.data.tags["status"] == "finished"


def test_resume_finds_the_same_runs_and_doubles_no_epoch(open_sweep: Open, uri: str, experiment: str) -> None:
    name = "it's \"%_\\ mine"  # quotes, wildcards, a backslash
    assert open_sweep(name, {"commit": "c1"}).projection.update()
    first = open_sweep(name, {"commit": "c1"})  # nothing ran yet: not in the way
    first.begin("a")
    for epoch in (1, 2):
        first.report("a", epoch, 0.1 * epoch, loss=1.0 / epoch)
    first.begin("gone")
    first.begin("lost")
    assert first.projection.update()
    with pytest.raises(UserError, match="choose another --name, or --resume"):
        open_sweep(name)
    open_sweep("other")
    seen = Seen(uri, experiment, name)
    parent_id = seen.parent.info.run_id

    second = open_sweep(name, {"commit": "c2", "dirty": "true"}, resume=True)
    second.lose("lost")
    second.begin("a", {"x": 2})  # its settings changed
    for epoch in (1, 2, 3):
        second.report("a", epoch, 0.1 * epoch, loss=7.0 if epoch < 3 else 0.3)
    second.end("a", "finished")
    second.begin("b")
    second.end("b", "pruned")
    assert second.projection.finish("interrupted")
    tags = seen.parent.data.tags
    assert (tags["commit"], tags["resumed.commit"], tags["dirty"]) == ("c1", "c2", "true")
    assert (seen.parent.info.run_id, tags["status"]) == (parent_id, "interrupted")
    assert seen.history("a", "train/loss") == [(1, 1.0), (2, 0.5), (3, 0.3)]
    assert (seen.child("a").data.params["x"], seen.child("a").data.tags["now.x"]) == ("1", "2")
    stopped = ("KILLED", "interrupted")
    ended = {"a": ("FINISHED", "finished"), "gone": stopped, "lost": stopped, "b": ("FINISHED", "pruned")}
    assert seen.statuses() == ended

    third = open_sweep(name, resume=True)  # an interrupted trial goes on
    third.begin("gone")
    third.report("gone", 1, 0.3, loss=9.0)
    assert third.projection.update()
    assert seen.statuses() == ended | {"gone": ("RUNNING", "running")}
    assert (seen.parent.info.status, seen.parent.data.tags["status"]) == ("RUNNING", "running")
    assert seen.history("gone", "train/loss") == [(1, 9.0)]


def test_many_parameters_changed_parameters_and_numbers_that_are_not_finite(
    open_sweep: Open, uri: str, experiment: str
) -> None:
    sweep = open_sweep("wide", {f"tag {i}": i for i in range(120)})
    params: dict[str, object] = {f"key.{i}": i for i in range(250)} | {"odd@name ü": "Wert ✓", "long": "x" * 7000}
    sweep.begin("a", params)
    sweep.begin("a", {**params, "key.7": 70})  # population based training
    sweep.report("a", 1, 0.1, loss=float("nan"), norm=float("inf"))
    for epoch in range(2, 600):  # more metrics than a request may have
        sweep.report("a", epoch, 0.1, **{"x" * 300: 1.0})
    assert sweep.projection.update()
    sweep.begin("a", {**params, "key.7": 71})
    assert sweep.projection.update()
    seen = Seen(uri, experiment, "wide")
    (run,) = seen.children()
    assert len(run.data.params) == 252 and run.data.params["odd_at_name ü"] == "Wert ✓"
    assert run.data.params["long"].endswith("x…")
    assert run.data.params["key.7"] == "70" and run.data.tags["now.key.7"] == "71"
    assert run.data.metrics == {"validation/ndcg_10": 0.1, "x" * 250: 1.0}
    assert run.data.tags["not_finite.loss"] == "nan at epoch 1"
    assert run.data.tags["not_finite.norm"] == "inf at epoch 1"
    assert [step for step, _ in seen.history("a", "validation/ndcg_10")] == list(range(1, 600))
    assert len([tag for tag in seen.parent.data.tags if tag.startswith("tag ")]) == 120


def test_a_server_that_is_away_gets_all_when_it_is_back(
    open_sweep: Open,
    experiment: str,
    server: Server,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    sweep = open_sweep("s", uri=server.uri.replace("://", "://me:secret@"))
    assert sweep.projection.where == server.uri.replace("://", "://***@")
    sweep.begin("a")
    sweep.report("a", 1, 0.1, loss=1.0)
    assert sweep.projection.update()
    server.stop()
    started = time.monotonic()
    for epoch in range(2, 40):
        sweep.report("a", epoch, 0.1, loss=1.0 / epoch)
    sweep.begin("b")  # begins and ends unseen
    sweep.report("b", 1, 0.1, loss=9.0)
    sweep.end("b", "pruned")
    assert time.monotonic() - started < 1
    assert not sweep.projection.update(0.5)
    assert sweep.projection.behind == 2 and "refused" in sweep.projection.away

    server.start()
    for epoch in (39, 40):  # 39 a second time
        sweep.report("a", epoch, 0.1, loss=1.0 / epoch)
    file = sweep.folder.parent / "a.txt"
    file.parent.mkdir(parents=True)
    file.write_text("a")
    sweep.end("a", "finished")
    assert sweep.projection.finish("finished", files=[(file, None)]) and sweep.projection.away is None
    seen = Seen(server.uri, experiment, "s")
    assert seen.history("a", "train/loss") == [(epoch, 1.0 / epoch) for epoch in range(1, 41)]
    assert seen.statuses() == {"a": ("FINISHED", "finished"), "b": ("FINISHED", "pruned")}
    assert [f.path for f in seen.client.list_artifacts(seen.parent.info.run_id)] == ["a.txt"]
    messages = [record.getMessage() for record in caplog.records if record.name.startswith("tuning")]
    assert len(messages) == 2 and "does not answer" in messages[0] and "answers again" in messages[1], messages
    assert "secret" not in caplog.text + "".join(capfd.readouterr())


def test_a_sweep_goes_on_without_its_server_and_the_next_process_brings_it_up_to_date(
    open_sweep: Open, experiment: str, server: Server
) -> None:
    first = open_sweep("s", uri=server.uri)
    first.begin("a")
    first.report("a", 1, 0.1, loss=1.0)
    assert first.projection.update()
    server.stop()
    first.report("a", 2, 0.2, loss=0.5)
    first.end("a", "finished")
    first.begin("b")
    first.report("b", 1, 0.3, loss=2.0)
    assert not first.projection.finish("interrupted", seconds=0)

    again = open_sweep("s", {"commit": "c2"}, uri=server.uri, resume=True)  # nobody answers yet
    again.begin("b")
    again.report("b", 1, 0.3, loss=7.0)  # its first report was lost with the process
    again.report("b", 2, 0.4, loss=1.5)
    assert not again.projection.update(0)
    server.start()
    assert again.projection.update()
    seen = Seen(server.uri, experiment, "s")
    assert seen.parent.info.status == "RUNNING" and seen.parent.data.tags["commit"] == "c2"
    assert seen.statuses() == {"a": ("FINISHED", "finished"), "b": ("RUNNING", "running")}
    assert seen.history("a", "validation/ndcg_10") == [(1, 0.1), (2, 0.2)]
    assert seen.history("a", "train/loss") == [(1, 1.0)]  # it has no checkpoint
    assert seen.history("b", "train/loss") == [(1, 7.0), (2, 1.5)]


@pytest.mark.parametrize("lost", ["create_run", "log_batch", "set_terminated"])
def test_an_answer_that_gets_lost(
    open_sweep: Open, uri: str, experiment: str, monkeypatch: pytest.MonkeyPatch, lost: str
) -> None:
    from mlflow.tracking import MlflowClient

    sweep = open_sweep("s")
    assert sweep.projection.update()
    request = getattr(MlflowClient, lost)
    losing = [True]

    def lose_the_answer(*arguments: object, **named: object) -> object:
        answer = request(*arguments, **named)
        if losing.pop() if losing else False:
            raise tracking_timeout()
        return answer

    monkeypatch.setattr(MlflowClient, lost, lose_the_answer)
    sweep.begin("a")
    sweep.report("a", 1, 0.1, loss=1.0)
    sweep.end("a", "finished")
    assert sweep.projection.update(60)
    assert not losing, "nothing was lost"
    seen = Seen(uri, experiment, "s")
    assert seen.statuses() == {"a": ("FINISHED", "finished")}
    assert seen.history("a", "train/loss") == [(1, 1.0)]


def tracking_timeout() -> Exception:
    from mlflow.exceptions import MlflowException
    from requests.exceptions import ReadTimeout

    error = MlflowException("API request failed with timeout")
    error.__cause__ = ReadTimeout()
    return error


def test_an_environment_that_changes_is_no_store_that_is_away(
    open_sweep: Open, server: Server, experiment: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """As when Ray starts again and when Tune ends, but thousands of times."""
    sweep = open_sweep("s", uri=server.uri)
    sweep.begin("a")
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for epoch in range(1, 31):
            sweep.report("a", epoch, 0.1, loss=1.0 / epoch)
            end = time.monotonic() + 0.1
            while time.monotonic() < end:
                monkeypatch.setenv("FAME_TEST_GOES", "1")
                monkeypatch.delenv("FAME_TEST_GOES")
    finally:
        sys.setswitchinterval(before)
    sweep.end("a", "finished")
    assert sweep.projection.finish("finished")
    assert Seen(server.uri, experiment, "s").history("a", "train/loss") == [(e, 1.0 / e) for e in range(1, 31)]
    assert not [record for record in caplog.records if record.name.startswith("tuning")]


@pytest.mark.parametrize("broken", [None, lambda *_: {}["a key"]], ids=["TypeError", "KeyError"])
def test_an_error_of_ours_is_raised_in_the_sweep(broken, open_sweep: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    sweep = open_sweep("s")
    assert sweep.projection.update()
    monkeypatch.setattr(sweep.projection._writer, "write_trial", broken)
    sweep.begin("a")
    with pytest.raises(RuntimeError, match="writing to MLflow broke"):
        sweep.projection.update()
    with pytest.raises(RuntimeError, match="writing to MLflow broke"):
        sweep.projection.check()


def test_a_first_start_needs_an_answer(experiment: str) -> None:
    dead = f"http://me:secret@127.0.0.1:{free_port()}"
    with pytest.raises(UserError, match="is not reachable") as caught:
        Projection.open(dead, experiment, "s", METRIC, tags={}, params={})
    assert "secret" not in str(caught.value)


def test_two_sweeps_may_fill_a_new_database_at_once(tmp_path: Path) -> None:
    program = (
        "import sys; from tuning.tracking.projection import Projection; "
        "one = Projection.open(sys.argv[1], 'e', sys.argv[2], 'ndcg@10', tags={}, params={}); "
        "sys.exit(not one.finish('finished'))"
    )
    uri = f"sqlite:///{tmp_path}/new.db"
    command = [sys.executable, "-c", program, uri]
    environment = {"PYTHONPATH": str(Path(__file__).parents[3]), "PATH": ""}
    both = [subprocess.Popen([*command, name], cwd=tmp_path, env=environment) for name in ("a", "b")]
    assert [process.wait() for process in both] == [0, 0]
    assert [Seen(uri, "e", name).parent.info.status for name in ("a", "b")] == ["FINISHED", "FINISHED"]


def test_the_description_says_the_news_and_what_a_user_wrote_stays(open_sweep: Open, uri: str, experiment: str) -> None:
    seen = None
    for text in ("runs", "ended"):
        sweep = open_sweep("s", resume=True, note=lambda place, text=text: f"{text} {place.run}")
        assert sweep.projection.update()
        seen = Seen(uri, experiment, "s")
        run = seen.parent.info.run_id
        assert seen.parent.data.tags["mlflow.note.content"].startswith(f"{text} #/experiments/")
        assert run in seen.parent.data.tags["mlflow.note.content"]
    assert sweep.projection.place.run_id == run
    seen.client.set_tag(run, "mlflow.note.content", "mine")
    assert sweep.projection.finish("finished", note=lambda place: "over")
    assert seen.parent.data.tags["mlflow.note.content"] == "mine"


def test_the_experiment_has_a_view_of_the_sweeps_trials(open_sweep: Open, uri: str, experiment: str) -> None:
    sweep = open_sweep("seen", numbers=["coverage@10"], searched=["train.lr"])
    assert sweep.projection.finish("finished")
    client, place = Seen(uri, experiment, "seen").client, sweep.projection.place
    assert place is not None and f"viewStateShareKey={place.view}" in place.trials("seen", METRIC)
    view = json.loads(client.get_experiment(place.experiment_id).tags[f"mlflow.sharedViewState.{place.view}"])
    assert view["searchFilter"] == "tags.sweep = 'seen'" and "params.`train.lr`" in view["selectedColumns"]
