"""A study's copy in an object store."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from fame.errors import UserError
from tests.tuning.object_stores import S3
from tuning.storage import object_store
from tuning.storage.layout import Storage
from tuning.study import mirror
from tuning.study.file import COPY, StudyFile


def lines(names: str) -> bytes:
    """A study of operations with these names; `…` stands for a line that is cut off."""
    with tempfile.TemporaryDirectory() as folder:
        file = StudyFile(Path(folder) / "study.log")
        file.append_logs([{"op_code": 0, "worker_id": "w", "study_name": name} for name in names])
        return file.path.read_bytes()[: -20 if "…" in names else None]


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


@pytest.mark.slow
def test_a_store_that_does_not_answer_is_waited_for(
    s3: str, s3_host: S3, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    places = Storage.of(s3, "mine")
    places.make_local()
    places.study.write_bytes(lines("12"))
    s3_host.down()
    clock = SimpleNamespace(monotonic=time.monotonic, sleep=lambda seconds: s3_host.up())  # while it waits
    monkeypatch.setattr(mirror, "time", clock)
    mirror.keep_in_step(places)
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith(f"storage {s3}/mine: it does not answer") and said[1:] == [
        f"storage {s3}/mine answers again"
    ]
    reasons: list[str] = []
    monkeypatch.setattr(mirror, "halt", reasons.append)
    monkeypatch.setattr(mirror, "AWAY_SECONDS", 0.0)
    s3_host.down()
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
        s3_host.up()
