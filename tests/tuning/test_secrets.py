"""A real sweep with secrets in its environment and addresses: none is written anywhere, and nothing listens beyond
this machine."""

from __future__ import annotations

import base64
import contextlib
import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote

import pytest

from fame.serving.histories import USERS
from tests.tuning.mlflow_server import Server
from tests.tuning.object_stores import BUCKET, S3, s3_server
from tests.tuning.sweeps import MARK, PATIENCE, TINY, Sweeps

pytestmark = pytest.mark.slow

PLACE = f"s3://{BUCKET}/runs"
LOOPBACK = {"tcp": {"0100007F"}, "tcp6": {"00000000000000000000000001000000", "0000000000000000FFFF00000100007F"}}
"""127.0.0.1, ::1 and 127.0.0.1 as IPv6, as the kernel prints them."""
TORCH = "RayTrainWorker"
"""Where PyTorch listens, too: the port at which the workers of a trial meet."""


def listening() -> dict[str, tuple[str, str]]:
    """Table and address of every listening TCP socket of this machine, by inode."""
    found = {}
    for table in LOOPBACK:
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A":
                found[fields[9]] = (table, fields[1].partition(":")[0])
    return found


def sockets(process: Path) -> Iterator[str]:
    """Inodes of a process's sockets."""
    for handle in (process / "fd").iterdir():
        if match := re.fullmatch(r"socket:\[(\d+)\]", os.readlink(handle)):
            yield match[1]


@dataclass
class Watched:
    """Processes of a sweep that listened, while it ran."""

    loopback: set[str] = field(default_factory=set)
    """Commands of processes that listened on loopback."""
    beyond: set[str] = field(default_factory=set)
    """Commands of processes that listened on other addresses."""

    def look(self, sweeps: Sweeps) -> None:
        known = listening()
        for process in Path("/proc").glob("[0-9]*"):
            try:
                if f"{MARK}={sweeps.mark}" not in (process / "environ").read_text():
                    continue
                command = (process / "cmdline").read_text().replace("\0", " ")
                for inode in sockets(process):
                    if inode in known:
                        table, address = known[inode]
                        (self.loopback if address in LOOPBACK[table] else self.beyond).add(command)
            except (OSError, UnicodeDecodeError):  # it has ended
                continue


SECRETS = {
    "AWS_SECRET_ACCESS_KEY": "planted-secret-key",
    "AWS_SESSION_TOKEN": "planted-session-token",
    "MLFLOW_TRACKING_TOKEN": "planted-tracking-token",
    "GOOGLE_APPLICATION_CREDENTIALS": "/planted-credentials.json",
    "HF_TOKEN": "planted-hub-token",
}
PASSWORD = "planted-p%40ssword"


@dataclass(frozen=True, kw_only=True)
class Swept:
    """A sweep that has ended, and what it was seen to do."""

    sweeps: Sweeps
    done: subprocess.CompletedProcess
    watched: Watched
    server: S3


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Swept]:
    """A sweep whose checkpoints go to S3, and whose runs go to an MLflow server that keeps artifacts there, too."""
    sweeps = Sweeps(tmp_path_factory.mktemp("secrets") / "s")
    folder = sweeps.folder / "mlflow"
    folder.mkdir()
    tracking = Server(folder, artifacts=f"s3://{BUCKET}/artifacts")
    with s3_server() as server, pytest.MonkeyPatch.context() as patch:
        for name, value in server.environment.items():
            patch.setenv(name, value)
        sweeps.environment |= server.environment | SECRETS
        uri = tracking.uri.replace("://", f"://planted-user:{PASSWORD}@")
        command = (*TINY, "--trials", "3", "--epochs", "2", "--storage", PLACE, "--tracking-uri", uri, "--name", "n")
        tracking.start()
        try:
            watched, done = watch(sweeps, sweeps.start(*command))
        finally:
            tracking.stop()
        yield Swept(sweeps=sweeps, done=done, watched=watched, server=server)


def watch(sweeps: Sweeps, process: subprocess.Popen) -> tuple[Watched, subprocess.CompletedProcess]:
    """Look every second at who listens, and copy Ray's logs, which go with it."""
    watched, deadline = Watched(), time.monotonic() + PATIENCE
    while process.poll() is None and time.monotonic() < deadline:
        watched.look(sweeps)
        for folder, _, names in os.walk(sweeps.ray):
            target = sweeps.folder / "ray" / Path(folder).relative_to(sweeps.ray)
            target.mkdir(parents=True, exist_ok=True)
            for name in names:
                with contextlib.suppress(OSError):  # a socket, or it has just been removed
                    shutil.copyfile(Path(folder) / name, target / name)
        time.sleep(1)
    out, err = process.communicate(timeout=PATIENCE)
    return watched, subprocess.CompletedProcess(process.args, process.returncode, out, err)


def test_no_secret_is_written_anywhere(swept: Swept) -> None:
    assert swept.done.returncode == 0, swept.done.stderr
    written = {str(path): path.read_bytes() for path in swept.sweeps.folder.rglob("*") if path.is_file()}
    written |= swept.server.files() | {"stdout": swept.done.stdout.encode(), "stderr": swept.done.stderr.encode()}
    for part in ("mlflow/mlflow.db", "artifacts/", "/ray/", "raylet.out", "runs/n/sweep.yaml", "trials/", "tuner.pkl"):
        assert [name for name in written if part in name], f"{part} is not among what was looked at"
    words = {value.encode() for value in (*SECRETS.values(), PASSWORD, unquote(PASSWORD))}
    words |= {base64.b64encode(f"planted-user:{unquote(PASSWORD)}".encode())}
    assert b"planted-key" not in b"".join(words)  # the id of a key is no secret
    assert {name: word for name, content in written.items() for word in words if word in content} == {}


def test_mlflow_has_the_exported_model_in_the_bucket(swept: Swept) -> None:
    folder = swept.sweeps.folder / "runs/n/best"
    best = {path.name: path.read_bytes() for path in folder.iterdir() if path.name != USERS}  # users stay here
    artifacts = swept.server.files("artifacts")
    assert {path.rpartition("/best/")[2]: artifacts[path] for path in artifacts if "/best/" in path} == best


def test_nothing_listens_beyond_this_machine_but_torch(swept: Swept) -> None:
    watched = swept.watched
    for process in ("sweep.py", "gcs_server", "raylet", "dashboard", TORCH, "ResourceTrainable"):
        assert [command for command in watched.loopback if process in command], f"{process} was not seen"
    assert not [command for command in watched.beyond if TORCH not in command]
