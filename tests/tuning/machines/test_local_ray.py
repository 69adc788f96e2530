"""Leftovers of a sweep's own Ray are found and removed, and nobody else's are touched."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from fame.errors import UserError
from tuning.machines.local_ray import LONGEST_SOCKET_PATH, MARK, SOCKET, check_folder, processes, remove, session_folder
from tuning.storage.layout import Storage


def start(folder: Path, code: str = "import time; time.sleep(600)") -> subprocess.Popen:
    return subprocess.Popen([sys.executable, "-c", code], env=os.environ | {MARK: str(folder)})


def test_each_sweep_has_a_session_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_TMPDIR", "/tmp")
    places = [Storage.of(storage, name) for storage in ("runs", "s3://bucket") for name in ("a", "b")]
    assert len({session_folder(place) for place in places}) == 4
    assert session_folder(places[0]) == session_folder(Storage.of("./runs", "a"))
    assert len(str(session_folder(places[0]) / SOCKET)) <= LONGEST_SOCKET_PATH


def test_a_folder_that_ray_could_not_use_is_refused_before_it_starts(tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as short:
        check_folder(Path(short) / "new" / "session")
        assert os.listdir(short) == []
        (Path(short) / "file").touch()
        with pytest.raises(
            UserError, match=r"cannot use .*/file/session for Ray's files .*; remove it, or set RAY_TMPDIR"
        ):
            check_folder(Path(short) / "file" / "session")
    with pytest.raises(
        UserError, match=r"is \d+ bytes too long for the sockets of Ray; set RAY_TMPDIR to a shorter path"
    ):
        check_folder(tmp_path / ("x" * 90) / "session")


def test_what_a_killed_driver_left_is_ended_and_removed(tmp_path: Path) -> None:
    folder, other = tmp_path / "session", tmp_path / "session2"
    folder.mkdir()
    (folder / "log").touch()
    ours, theirs = start(folder), start(other)
    try:
        while not processes(folder) or not processes(other):  # a new process is its parent's copy for a moment
            time.sleep(0.01)
        assert processes(folder) == [ours.pid]
        remove(folder, 0.0)
        assert ours.wait() != 0 and theirs.poll() is None
        assert not folder.exists() and processes(folder) == []
    finally:
        for process in (ours, theirs):
            process.kill()
            process.wait()


def test_processes_are_given_time_to_end(tmp_path: Path) -> None:
    process = start(tmp_path / "s", "import time; time.sleep(0.5)")
    remove(tmp_path / "s", 60.0)
    assert process.wait() == 0
