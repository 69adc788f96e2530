"""Object stores by URI, against real servers on loopback: moto for S3, an emulator for Google's."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from fame.errors import UserError
from tests.commands import call
from tests.tuning.object_stores import BUCKET, S3, free_port, gcs_server, s3_server
from tuning import sweep
from tuning.driver.lock import locked
from tuning.storage import object_store
from tuning.storage.layout import COPY_OF, Storage, below, check_writable, newest
from tuning.storage.remote_folder import open_folder
from tuning.study import mirror
from tuning.study.file import COPY, StudyFile


@pytest.fixture(scope="module")
def server() -> Iterator[S3]:
    with s3_server() as server:
        yield server


@pytest.fixture
def s3(server: S3, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, request: pytest.FixtureRequest) -> str:
    """A URI of a test's own, in a working directory of its own."""
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    return f"s3://{BUCKET}/{abs(hash(request.node.name))}"


@pytest.fixture
def gs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[str]:
    monkeypatch.chdir(tmp_path)
    with gcs_server() as query:
        yield f"gs://anonymous@{BUCKET}/runs{query}"


@pytest.fixture(params=["s3", "gs"])
def store(request: pytest.FixtureRequest) -> str:
    return request.getfixturevalue(request.param)


def lines(names: str) -> bytes:
    """A study of operations with these names; `…` stands for a line that is cut off."""
    with tempfile.TemporaryDirectory() as folder:
        file = StudyFile(Path(folder) / "study.log")
        file.append_logs([{"op_code": 0, "worker_id": "w", "study_name": name} for name in names])
        return file.path.read_bytes()[: -20 if "…" in names else None]


def test_small_files_are_written_read_and_replaced(store: str) -> None:
    file = below(store, "a/b.txt")
    assert object_store.read(file) is None
    for content in (b"first", b""):
        object_store.write(file, content)
        assert object_store.read(file) == content


def test_the_check_of_a_place_that_can_be_written_leaves_no_file(store: str) -> None:
    check_writable(store)
    assert object_store.times(store, "written") == {}
    filesystem, path = object_store.open_uri(store)
    from pyarrow import fs

    assert not [f for f in filesystem.get_file_info(fs.FileSelector(path, recursive=True)) if f.is_file]


def test_a_sweep_is_known_by_its_uri_alone(store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    places = Storage.of(store, "mine")
    assert not places.exists
    places.create({"options": {"name": "Größe"}, "trials": 3})
    monkeypatch.chdir(tmp_path.parent)
    there = Storage.of(store, "mine")
    assert there.exists and there.read_record() == {"options": {"name": "Größe"}, "trials": 3}
    if store.startswith("s3"):  # the emulator of Google's lists no folders
        assert newest(store) == "mine"


def test_the_newest_sweep_is_the_one_that_was_started_last(s3: str) -> None:
    for name in ("b", "c", "a"):
        Storage.of(s3, name).create({})
        time.sleep(1.1)  # the store tells whole seconds
    assert newest(s3) == "a"
    with pytest.raises(UserError, match=f"^--resume: there is no sweep under {s3}/empty; start one without --resume$"):
        newest(s3 + "/empty")


def test_the_exported_model_is_copied(store: str) -> None:
    places = Storage.of(store, "mine")
    places.best.mkdir(parents=True)
    (places.best / "config.yaml").write_text("mine")
    assert places.publish_best() == below(store, "mine/best")
    assert object_store.read(below(store, "mine/best/config.yaml")) == b"mine"


def test_stages_are_shared_there(store: str) -> None:
    folder = open_folder(store)
    folder.save("a.safetensors", {"weights": torch.arange(3.0)}, {"name": "a"})
    tensors, header = folder.load("a.safetensors")
    assert tensors["weights"].tolist() == [0, 1, 2] and header == {"name": "a"}
    assert folder.load("b.safetensors") is None and folder.names("a") == ["a.safetensors"]


def test_a_driver_locks_its_sweep_there(s3: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with locked(Storage.of(s3, "mine")):
        monkeypatch.chdir(tmp_path.parent)
        running = f"^sweep 'mine' is running \\(process {os.getpid()} on "
        with pytest.raises(UserError, match=running), locked(Storage.of(s3, "mine")):
            pass


# The working copy.


def test_a_study_goes_to_the_uri_and_comes_back(store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    places = Storage.of(store, "mine")
    mirror.push(places)  # before the first trial there is none
    mirror.fetch(places)
    assert not places.study.exists()
    places.study.write_bytes(lines("12"))
    mirror.push(places)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    there = Storage.of(store, "mine")
    mirror.fetch(there)
    assert there.study.read_bytes() == lines("12") and there.study.is_relative_to(elsewhere)


@pytest.mark.parametrize(
    ("ours", "theirs", "used", "kept"),
    [
        ("123", "12", "123", None),  # killed before it wrote to the URI
        ("12", "123", "123", None),  # another machine went on
        ("12…", "123", "123", None),  # so it did, and this one was killed within a line
        ("12x", "123", "123", "12x"),  # both went on
    ],
)
def test_the_study_that_is_further_is_used(s3: str, ours: str, theirs: str, used: str, kept: str | None) -> None:
    places = Storage.of(s3, "mine")
    places.make_local()
    places.study.write_bytes(lines(theirs))
    mirror.push(places)
    StudyFile(places.study)  # makes the copy
    places.study.with_name(places.study.name + COPY).unlink()
    places.study.write_bytes(lines(ours))
    mirror.fetch(places)
    StudyFile(places.study)
    assert places.study.read_bytes() == lines(used)
    other = places.study.with_name(places.study.name + mirror.OTHER)
    assert (other.read_bytes() if other.exists() else None) == (lines(kept) if kept else None)


def test_a_damaged_study_is_mended_before_it_is_compared(s3: str, capsys: pytest.CaptureFixture[str]) -> None:
    places = Storage.of(s3, "mine")
    places.make_local()
    places.study.write_bytes(lines("12"))
    mirror.push(places)
    places.study.write_bytes(lines("123"))
    StudyFile(places.study)
    places.study.write_bytes(lines("123").replace(b'"3"', b'"4"'))
    mirror.fetch(places)
    assert places.study.read_bytes() == lines("123") and "line 3 is damaged" in capsys.readouterr().out


def test_a_store_that_does_not_answer_is_waited_for(
    s3: str, server: S3, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    places = Storage.of(s3, "mine")
    places.make_local()
    places.study.write_bytes(lines("12"))
    server.down()
    clock = SimpleNamespace(monotonic=time.monotonic, sleep=lambda seconds: server.up())  # while it waits
    monkeypatch.setattr(mirror, "time", clock)
    mirror.keep_in_step(places)
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith(f"storage {s3}/mine: it does not answer") and said[1:] == [
        f"storage {s3}/mine answers again"
    ]
    reasons: list[str] = []
    monkeypatch.setattr(mirror, "halt", reasons.append)
    monkeypatch.setattr(mirror, "AWAY_SECONDS", 0.0)
    server.down()
    try:
        mirror.keep_in_step(places)
        assert len(reasons) == 1 and reasons[0].startswith(f"storage {s3}/mine: it does not answer")
        with pytest.raises(UserError, match="once it answers, go on with --resume"), mirror.unless_away(places):
            object_store.read(s3)
        monkeypatch.setattr(mirror, "halted", lambda: "a reason")
        with mirror.unless_away(places):
            object_store.read(s3)
        assert "the best so far is not exported" in capsys.readouterr().out
    finally:
        server.up()


def test_a_folder_of_another_sweep_is_not_written_to(s3: str, tmp_path: Path) -> None:
    Storage.of("runs", "mine").create({})
    Storage.of(s3, "other").create({})
    assert (tmp_path / "runs/other" / COPY_OF).read_text() == f"storage: {s3}/other\n"
    Storage.of(s3 + "?region=us-east-1", "other").check_local()
    for places in (Storage.of(s3, "mine"), Storage.of(s3 + "/else", "other")):
        with pytest.raises(
            UserError, match=f"^runs/{places.name} belongs to another sweep called '{places.name}'; choose"
        ):
            places.check_local()
    with pytest.raises(UserError, match="there is no sweep under"):
        newest("runs/none")
    assert newest("runs") == "mine"


# What cannot start: one line, exit code 2, nothing left.


def refused(*args: str) -> str:
    done = call(sweep.main, "--dataset", "synthetic", "--set", "data.size={users: 40, items: 30}", *args)
    assert done.code == 2 and done.err.startswith("error: ") and done.err.count("\n") == 1, done.err
    assert not list(Path().iterdir())
    return done.err


def test_a_bucket_that_does_not_exist(s3: str) -> None:
    assert "s3://none/runs" in (line := refused("--storage", "s3://none/runs")) and "there is no such bucket" in line


@pytest.mark.parametrize("args", [(), ("--resume",), ("--resume", "--name", "a")])
def test_a_server_that_is_down(args: tuple[str, ...], s3: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free_port()}")
    assert f"{s3}" in (line := refused("--storage", s3, *args)) and "it does not answer: is the server up" in line


def test_a_server_of_google_that_is_down(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    uri = f"gs://anonymous@{BUCKET}/runs?scheme=http&endpoint_override=127.0.0.1%3A{free_port()}&retry_limit_seconds=1"
    assert "it does not answer: is the server up" in refused("--storage", uri)


def test_credentials_that_are_wrong(s3: str, server: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    server.ask_for_credentials()
    try:
        line = refused("--storage", s3)
        assert "access is refused: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY" in line and "planted" not in line
    finally:
        server.ask_for_nothing()


@pytest.mark.parametrize(
    "uri", ["s3://key:planted@bucket/runs", "s3://bucket/runs?secret_key=planted", "gs://b?token=planted"]
)
def test_secrets_in_the_uri_are_refused(uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for args in ((), ("--resume",), ("--resume", "--name", "a"), ("--dry-run",)):
        line = refused("--storage", uri, *args)
        assert "planted" not in line and "***" in line and "in the environment" in line
