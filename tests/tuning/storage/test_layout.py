"""Where a sweep is kept: paths and URIs, and that looking leaves nothing behind."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from fame.errors import UserError
from fame.remote import is_remote
from tuning.storage.layout import Storage, below, check_writable, newest

QUERY = "?endpoint_override=http%3A%2F%2Flocalhost%3A9000&scheme=http"


@pytest.fixture(autouse=True)
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("place", "name", "whole"),
    [
        ("runs", "a", "runs/a"),
        ("runs/", "a", "runs/a"),
        ("what?/runs", "a", "what?/runs/a"),
        ("s3://bucket", "a", "s3://bucket/a"),
        ("s3://bucket/x//", "a", "s3://bucket/x/a"),
        (f"s3://bucket/x{QUERY}", "a", f"s3://bucket/x/a{QUERY}"),
        (f"s3://bucket/x/{QUERY}", "a/b", f"s3://bucket/x/a/b{QUERY}"),
    ],
)
def test_below_keeps_the_query_at_the_end(place, name, whole):
    assert below(place, name) == whole


@given(
    st.sampled_from(["runs", "/a/b", f"s3://b/c{QUERY}", "gs://b"]), st.lists(st.text("ab-_.", min_size=1), min_size=2)
)
def test_below_step_by_step_is_below_at_once(place, names):
    step = place
    for name in names:
        step = below(step, name)
    assert step == below(place, "/".join(names))


def test_places_of_a_local_sweep(work):
    for storage in ("there", str(work / "there"), f"file://{work}/there"):
        places = Storage.of(storage, "mine")
        assert not is_remote(storage)
        assert places.shared == str(places.local) == str(work / "there" / "mine")
        assert places.trials == str(work / "there" / "mine" / "trials")
        assert places.stages == str(work / "there" / "stages")
        assert {places.record.parent, places.study.parent, places.best.parent} == {places.local}
    assert Storage.of("~/there", "mine").local == Path.home() / "there" / "mine"


def test_places_of_a_remote_sweep(work):
    places = Storage.of(f"s3://bucket/x{QUERY}", "mine")
    assert places.shared == f"s3://bucket/x/mine{QUERY}"
    assert places.trials == f"s3://bucket/x/mine/trials{QUERY}"
    assert places.stages == f"s3://bucket/x/stages{QUERY}"
    assert places.local == work / "runs" / "mine"


def test_a_record_is_whole_or_not_there(work, monkeypatch):
    places = Storage.of("runs", "mine")
    assert not places.exists
    places.create({"options": {"name": "Größe"}, "trials": 3})
    assert places.exists
    assert places.read_record() == {"options": {"name": "Größe"}, "trials": 3}
    assert list(places.local.iterdir()) == [places.record]

    def dies(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", dies)
    other = Storage.of("runs", "other")
    with pytest.raises(KeyboardInterrupt):
        other.create({"trials": 4})
    assert not other.exists
    assert yaml.safe_load(places.record.read_text())["trials"] == 3


def test_the_newest_sweep_is_the_one_that_was_started_last(work):
    for age, name in enumerate(("c", "a", "b")):
        places = Storage.of("runs", name)
        places.create({})
        os.utime(places.record, (1000 - age, 1000 - age))
    (work / "runs" / "not-a-sweep").mkdir()
    assert newest("runs") == "c"
    with pytest.raises(UserError, match=r"--resume: there is no sweep under empty; start one without --resume"):
        newest("empty")


def test_the_check_leaves_nothing_behind(work):
    (work / "there").mkdir()
    for storage in ("there", "new", "a/b/c", "there/d/e", f"file://{work}/f/g"):
        check_writable(storage)
    assert [path.name for path in work.rglob("*")] == ["there"]


@pytest.mark.parametrize(
    ("storage", "reason"),
    [
        ("file", "File exists"),
        ("file/below", "Not a directory"),
        ("new/" + "n" * 300, "File name too long"),
        ("/proc/here", "No such file or directory"),
        ("nonsense://there", "Unrecognized filesystem type in URI"),
        ("s3://", ""),
    ],
)
def test_a_place_that_cannot_be_written_is_one_line(storage, reason, work):
    (work / "file").write_text("mine")
    with pytest.raises(UserError, match=r"^--storage .*cannot write there .*choose another place$") as caught:
        check_writable(storage)
    assert reason in str(caught.value) and "\n" not in str(caught.value)
    assert [path.name for path in work.rglob("*")] == ["file"]


def test_the_check_needs_permission_to_write(work, monkeypatch):
    (work / "there").mkdir()

    def refuses(**_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("tuning.storage.layout.tempfile.TemporaryFile", refuses)
    with pytest.raises(UserError, match=r"--storage there: cannot write there \(Permission denied\)"):
        check_writable("there")


@pytest.fixture
def bucket(work, monkeypatch) -> Path:
    """A folder that is remote storage by its URI `file://…`, reached through pyarrow like any other."""
    monkeypatch.setattr("tuning.storage.layout.is_remote", lambda storage: "://" in storage)
    (work / "bucket").mkdir()
    return work / "bucket"


def test_remote_storage_is_checked_and_left_as_it_was(bucket):
    check_writable(bucket.as_uri())
    assert not list(bucket.iterdir())
    (bucket / "file").write_text("mine")
    with pytest.raises(UserError, match=r"--storage file:///.*/file: cannot write there"):
        check_writable(bucket.as_uri() + "/file")


def test_the_exported_model_is_copied_to_remote_storage(bucket):
    places = Storage.of(bucket.as_uri(), "mine")
    places.best.mkdir(parents=True)
    for name in ("config.yaml", "model.safetensors"):
        (places.best / name).write_text(name)
    for _ in range(2):  # a sweep that goes on exports again
        assert places.publish_best() == f"{bucket.as_uri()}/mine/best"
    copied = {path.name: path.read_text() for path in (bucket / "mine" / "best").iterdir()}
    assert copied == {"config.yaml": "config.yaml", "model.safetensors": "model.safetensors"}


def test_a_copy_that_fails_says_where_the_model_lies(bucket):
    places = Storage.of(bucket.as_uri(), "mine")
    places.best.mkdir(parents=True)
    (bucket / "mine").write_text("in the way")
    with pytest.raises(UserError, match=r"cannot copy the exported model to file:///.*/mine/best .*; it lies at /.*"):
        places.publish_best()


def test_the_exported_model_of_local_storage_stays_where_it_is():
    places = Storage.of("runs", "mine")
    assert Path(places.publish_best()).absolute() == places.best
