"""Files of killed processes are removed; files that others are writing stay."""

from __future__ import annotations

import json
import os
import subprocess

import pytest

from fame.artifacts import remove_abandoned
from fame.artifacts.lease import Lease, machine, started
from tests.fame.artifacts.places import KINDS, artifact, folder_of
from tuning.storage import remote_folder


@pytest.mark.parametrize("kind", KINDS)
def test_only_what_the_dead_of_this_machine_left_is_removed(kind, tmp_path, monkeypatch):
    monkeypatch.setattr(remote_folder, "SETTLE_SECONDS", 0.0)
    folder, dead = folder_of(kind, tmp_path), subprocess.Popen(["true"])
    dead.wait()
    here = {"host": "h", "machine": machine(), "pid": dead.pid, "started": "1", "beat": 3}
    folder.create("dead.lease-000002", json.dumps(here))
    folder.create("elsewhere.lease-000001", json.dumps({**here, "machine": "another"}))
    folder.create("unknown.lease-000001", "")
    for name in ("dead", "elsewhere", "owned"):
        folder.create(f".{name}.safetensors.0123", "half")
    artifact().save(folder, "dead.safetensors")
    lease = Lease(folder, "owned")
    assert lease.acquire() and started(os.getpid())
    remove_abandoned(folder)
    assert sorted(folder.names("")) == [
        ".elsewhere.safetensors.0123",
        ".owned.safetensors.0123",
        "dead.safetensors",
        "elsewhere.lease-000001",
        "owned.lease-000001",
        "unknown.lease-000001",
    ]
    lease.release()
