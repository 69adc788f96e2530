"""A lease has one owner at a time, and passes on when the owner dies, wherever that was."""

from __future__ import annotations

import errno
import subprocess
import sys
import threading
import time

import pytest

from fame.artifacts import LocalFolder
from fame.artifacts import lease as module
from fame.artifacts.lease import Lease, died_here
from tests.fame.artifacts.places import KINDS, folder_of
from tuning.storage import remote_folder

OWNER = """
import sys, time
from pathlib import Path
from fame.artifacts import LocalFolder
from fame.artifacts.lease import Lease
assert Lease(LocalFolder(Path(sys.argv[1])), "a").acquire()
print("owner", flush=True)
time.sleep(600)
"""


@pytest.fixture(params=KINDS)
def folder(request, tmp_path, monkeypatch):
    monkeypatch.setattr(remote_folder, "SETTLE_SECONDS", 0.05)
    return folder_of(request.param, tmp_path)


@pytest.fixture
def elsewhere(monkeypatch):
    """As if nothing were known of the owner's process: it runs on another machine."""
    monkeypatch.setattr(module, "machine", lambda: None)


def wait_for(lease: Lease, seconds: float = 20.0) -> float:
    began = time.monotonic()
    while not lease.acquire():
        assert time.monotonic() - began < seconds
        time.sleep(0.02)
    return time.monotonic() - began


def test_it_has_one_owner_until_it_is_released(folder):
    first, second, other = Lease(folder, "a"), Lease(folder, "a"), Lease(folder, "b")
    assert first.acquire() and not second.acquire() and other.acquire()
    first.release()
    assert second.acquire() and not first.acquire()
    second.release()
    other.release()
    assert folder.names("") == []


def test_an_owner_with_a_heartbeat_is_waited_for(folder, elsewhere):
    first, second = Lease(folder, "a", patience=1.5), Lease(folder, "a", patience=1.5)
    assert first.acquire()
    deadline = time.monotonic() + 2.5
    while time.monotonic() < deadline:
        assert not second.acquire()
        time.sleep(0.02)
    first.release()


def test_of_many_that_wait_for_a_dead_owner_one_takes_over(folder, elsewhere):
    folder.create("a.lease-000004", "somebody")
    leases, owners = [Lease(folder, "a", patience=1.0) for _ in range(6)], []

    def wait(lease: Lease) -> None:
        deadline = time.monotonic() + 2.5
        while time.monotonic() < deadline:
            if lease.acquire():
                owners.append(lease)
                return
            time.sleep(0.02)

    threads = [threading.Thread(target=wait, args=(lease,)) for lease in leases]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(owners) == 1
    assert folder.names("a.") == ["a.lease-000005"]
    owners[0].release()


def test_an_owner_that_handed_control_away_for_long_is_taken_for_dead(folder, elsewhere):
    first, second = Lease(folder, "a", patience=0.4), Lease(folder, "a", patience=0.4)
    assert first.acquire()
    with first.resting():
        assert wait_for(second) >= 0.4
    time.sleep(0.3)  # the first one's next heartbeats must not bring its lease back
    assert folder.names("a.") == ["a.lease-000002"]
    first.release()
    assert folder.names("a.") == ["a.lease-000002"]
    second.release()


@pytest.mark.parametrize("text", [None, "", "{", "[]", '{"machine": null}'])
def test_a_lease_that_is_being_written_says_nothing(text):
    assert not died_here(text)


@pytest.mark.parametrize("known", [True, False], ids=["same machine", "other machine"])
def test_a_killed_owner_is_followed(known, tmp_path, monkeypatch):
    folder = folder_of("local", tmp_path)
    owner = subprocess.Popen([sys.executable, "-c", OWNER, folder.path], stdout=subprocess.PIPE, text=True)
    try:
        assert owner.stdout.readline() == "owner\n"
        if not known:
            monkeypatch.setattr(module, "machine", lambda: None)
        lease = Lease(folder, "a", patience=60.0 if known else 1.0)
        if known:
            assert not lease.acquire()
        owner.kill()  # not reaped yet: a zombie is dead, too
        seconds = wait_for(lease)
        assert seconds < 10.0 if known else seconds >= 0.9
        lease.release()
    finally:
        owner.kill()
        owner.communicate()


def test_a_place_that_became_read_only_takes_the_lease_with_it(tmp_path, monkeypatch):
    lease = Lease(folder := LocalFolder(tmp_path), "x", patience=0.3)
    assert lease.acquire()

    def refuses(name: str) -> None:
        raise OSError(errno.EROFS, "Read-only file system", name)

    monkeypatch.setattr(folder, "remove", refuses)
    lease.release()
    other = Lease(LocalFolder(tmp_path), "x", patience=0.3)
    while not other.acquire():
        time.sleep(0.05)
    other.release()
