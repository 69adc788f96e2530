"""Object stores by URI, against real servers on loopback: moto for S3, an emulator for Google's."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from fame.errors import UserError
from tests.commands import call
from tests.tuning.object_stores import BUCKET, S3, free_port
from tuning import sweep
from tuning.driver.lock import locked
from tuning.storage import object_store
from tuning.storage.layout import COPY_OF, Storage, below, check_writable, newest


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


def test_a_driver_locks_its_sweep_there(s3: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with locked(Storage.of(s3, "mine")):
        monkeypatch.chdir(tmp_path.parent)
        running = f"^sweep 'mine' is running \\(process {os.getpid()} on "
        with pytest.raises(UserError, match=running), locked(Storage.of(s3, "mine")):
            pass


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


def test_credentials_that_are_wrong(s3: str, s3_host: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    s3_host.ask_for_credentials()
    try:
        line = refused("--storage", s3)
        assert "access is refused: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY" in line and "planted" not in line
    finally:
        s3_host.ask_for_nothing()


@pytest.mark.parametrize(
    "uri", ["s3://key:planted@bucket/runs", "s3://bucket/runs?secret_key=planted", "gs://b?token=planted"]
)
def test_secrets_in_the_uri_are_refused(uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for args in ((), ("--resume",), ("--resume", "--name", "a"), ("--dry-run",)):
        line = refused("--storage", uri, *args)
        assert "planted" not in line and "***" in line and "in the environment" in line
