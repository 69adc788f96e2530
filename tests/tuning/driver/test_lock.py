"""A sweep has one driver at a time, and a dead one does not block the next."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fame.artifacts import lease as module
from fame.errors import UserError
from tests.tuning.sweeps import SOURCES
from tuning.driver.lock import locked
from tuning.storage.layout import Storage

DRIVER = """
import sys
from tuning.driver.lock import locked
from tuning.storage.layout import Storage
with locked(Storage.of(sys.argv[1], "s"), patience=float(sys.argv[2])):
    print("locked", flush=True)
    sys.stdin.read()
"""


class Driver:
    """Another process that holds the lock of sweep `s`."""

    def __init__(self, storage: Path, patience: float = 60.0) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", DRIVER, str(storage), str(patience)],
            cwd=SOURCES,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> subprocess.Popen:
        assert self.process.stdout.readline() == "locked\n"
        return self.process

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the other process ran on another machine."""
    monkeypatch.setattr("tuning.driver.lock.machine", lambda: "this one")
    monkeypatch.setattr(module, "machine", lambda: "this one")


def test_a_second_driver_is_refused_at_once_and_named(tmp_path: Path) -> None:
    with Driver(tmp_path) as other, pytest.raises(UserError) as caught, locked(Storage.of(str(tmp_path), "s")):
        pytest.fail("two drivers")
    assert re.fullmatch(
        rf"sweep 's' is running \(process {other.pid} on .+\): let it end or stop it, or choose another --name",
        str(caught.value),
    )


def test_other_sweeps_are_not_blocked(tmp_path: Path) -> None:
    with locked(Storage.of(str(tmp_path), "a")), locked(Storage.of(str(tmp_path), "b")):
        pass
    with locked(Storage.of(str(tmp_path), "a")):
        pass


def test_a_killed_driver_of_this_machine_is_followed_at_once(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    with Driver(tmp_path) as other:
        other.kill()
        other.wait()
        with locked(Storage.of(str(tmp_path), "s")):
            assert capsys.readouterr().out == ""


def test_a_driver_of_another_machine_that_beats_is_refused(
    tmp_path: Path, elsewhere: None, capsys: pytest.CaptureFixture
) -> None:
    storage = Storage.of(str(tmp_path), "s")
    with Driver(tmp_path, patience=3.0), pytest.raises(UserError, match="is running"), locked(storage, 60.0):
        pytest.fail("two drivers")
    assert "waiting up to 60 s to see whether sweep 's' still runs" in capsys.readouterr().out


def test_a_dead_driver_of_another_machine_is_followed_after_the_patience(
    tmp_path: Path, elsewhere: None, capsys: pytest.CaptureFixture
) -> None:
    with Driver(tmp_path) as other:
        other.kill()
        other.wait()
        began = time.monotonic()
        with locked(Storage.of(str(tmp_path), "s"), patience=1.5):
            assert time.monotonic() - began >= 1.5
    assert "waiting up to 2 s" in capsys.readouterr().out


def test_who_lost_the_lock_learns_it(tmp_path: Path) -> None:
    with locked(Storage.of(str(tmp_path), "s"), patience=0.6) as (lease,):
        assert not lease.lost
        for file in (tmp_path / "s").iterdir():  # another machine took over: its lease has the next number
            file.unlink()
        deadline = time.monotonic() + 20
        while not lease.lost:
            assert time.monotonic() < deadline
            time.sleep(0.02)


def test_it_leaves_nothing_but_what_the_sweep_wrote(tmp_path: Path) -> None:
    storage = Storage.of(str(tmp_path / "runs"), "s")
    with locked(storage):
        assert storage.local.exists()
    assert list(tmp_path.iterdir()) == []
    with locked(storage):
        storage.create({"options": {}})
    assert [path.name for path in storage.local.iterdir()] == ["sweep.yaml"]


def test_where_nodes_reach_an_object_store_both_places_are_locked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tuning.storage.remote_folder.SETTLE_SECONDS", 0.05)
    with locked(Storage.of("mock:///bucket", "s")) as leases:
        assert len(leases) == 2
