"""A Ray of the sweep's own on this machine. It starts with the sweep and leaves nothing behind.

Its session lies in a folder of the sweep, and all its processes carry that folder in their environment. So the driver that
resumes a killed sweep finds the processes and files that are left, and removes them. It never touches another Ray.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fame.errors import UserError
from tuning.machines.watch import CannotGoOnError
from tuning.ray_internals.addresses import loopback
from tuning.storage.layout import Storage, leaves_no_empty_folder

LOOPBACK = "127.0.0.1"
SOURCES = Path(__file__).parents[2]
LOCAL_ONLY = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"
"""Variable that tells Ray's processes whether there are clusters. "0" is their default on other systems than Linux."""
MARK = "FAME_LOCAL_RAY"
"""Variable in the environment of every process of such a Ray: its folder."""
TOKEN_FILE = "RAY_AUTH_TOKEN_PATH"
"""Variable that names the file with the secret of Ray's processes. Ray's own place for it is the home folder."""
_TOKEN = secrets.token_hex(32)
"""Secret of every Ray of this process, which reads it once."""
SOCKET = "session_2026-11-24_08-15-15_123456_1234567/sockets/plasma_store.1"
"""The longest name of a socket in a session's folder."""
LONGEST_SOCKET_PATH = 107
"""Most bytes that Linux takes as the path of a socket."""
STARTS = 2
"""Attempts to start Ray. On a busy machine it can miss its own time limits."""
LEAVING_SECONDS = 10.0
"""Most seconds for Ray's processes to end by themselves."""
POLL_SECONDS = 0.1


@contextlib.contextmanager
def local_ray(folder: Path, quiet: dict[str, Any]) -> Iterator[None]:
    """Run a Ray on all of this machine as long as the block lasts, with its session in `folder`.

    `quiet` is for `ray.init`. Raises `UserError` if Ray does not start.
    """
    make(folder)
    try:
        for left in reversed(range(STARTS)):
            try:
                _start(folder, quiet)
                break
            except Exception as error:  # Ray raises just that when its processes take more than half a minute
                if not left:
                    raise UserError(
                        f"Ray did not start on this machine ({first_line(error)}); try again when it has less to do"
                    ) from error
        with files_in(folder):
            yield
    finally:
        remove(folder, LEAVING_SECONDS if disconnect() else 0.0)


def check_folder(folder: Path) -> None:
    """Raise `UserError` if a session cannot lie in a folder. Leaves nothing behind."""
    too_long = len(os.fsencode(folder / SOCKET)) - LONGEST_SOCKET_PATH
    if too_long > 0:
        raise UserError(
            f"{folder.parent} is {too_long} bytes too long for the sockets of Ray; set RAY_TMPDIR to a shorter path, "
            "such as /tmp"
        )
    try:
        with leaves_no_empty_folder(folder.parent) as parent, tempfile.TemporaryFile(dir=parent):
            pass
    except OSError as error:
        raise _unusable(folder, error) from None


def make(folder: Path) -> None:
    """Make the folder of a session. Processes that a killed driver has left there are ended first.

    They would train on and write into the same trials.
    """
    remove(folder, 0.0)
    try:
        folder.mkdir(mode=0o700, parents=True)
    except OSError as error:
        raise _unusable(folder, error) from None


def _unusable(folder: Path, error: OSError) -> UserError:
    return UserError(f"cannot use {folder} for Ray's files ({error.strerror}); remove it, or set RAY_TMPDIR")


def files_in(folder: Path) -> contextlib.AbstractContextManager[None]:
    """Keep Ray's other files of this process, such as locks on checkpoints, in the session's folder, too."""
    return environment({"RAY_TMPDIR": str(folder)})


def disconnect() -> bool:
    """Disconnect from Ray, and return whether that was done. A Ray that has died is left alone: it would be waited for."""
    if isinstance(sys.exception(), CannotGoOnError):
        return False
    from tuning.ray_internals.leaving import leave

    leave()
    return True


def session_folder(storage: Storage) -> Path:
    """Return the session folder of a sweep's Ray for this user. Paths of sockets have to be short."""
    digest = hashlib.sha256(f"{os.getuid()} {storage.shared}".encode()).hexdigest()
    return Path(os.environ.get("RAY_TMPDIR") or tempfile.gettempdir()) / f"fame-ray-{digest[:10]}"


def remove(folder: Path, patience: float) -> None:
    """Remove a session once its processes are gone. Processes that stay for `patience` seconds are killed."""
    deadline = time.monotonic() + patience
    while left := processes(folder):
        if time.monotonic() >= deadline:
            for process in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL)
        time.sleep(POLL_SECONDS)
    shutil.rmtree(folder, ignore_errors=True)


def processes(folder: Path) -> list[int]:
    """Return the processes of the Ray whose session lies in a folder, as far as the system shows them."""
    mark, found = f"{MARK}={folder}".encode(), []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if mark in (process / "environ").read_bytes().split(b"\0"):
                found.append(int(process.name))
        except OSError:  # gone, or somebody else's
            continue
    return found


def _start(folder: Path, quiet: dict[str, Any]) -> None:
    import ray

    # At Ray's niceness of 15 any other process of the machine starves the trials, which are the work.
    os.environ.setdefault("RAY_worker_niceness", "0")
    # A trial is several small processes; Ray warns of more than four times this number.
    os.environ.setdefault("RAY_worker_maximum_startup_concurrency", str(max(8, os.cpu_count() or 1)))
    # The processes that Ray starts in advance wait for a slot, which itself takes seconds to start.
    os.environ.setdefault("RAY_idle_worker_killing_time_threshold_ms", "30000")
    token = folder / "auth_token"
    token.touch(mode=0o600)
    token.write_text(_TOKEN)
    # Not as a `runtime_env`: the processes that Ray starts in advance would have another environment, and
    # each trial would wait for new ones.
    settings = {
        MARK: str(folder),
        "RAY_TMPDIR": str(folder),
        TOKEN_FILE: str(token),
        "PYTHONPATH": os.pathsep.join(filter(None, (str(SOURCES), os.environ.get("PYTHONPATH")))),
        LOCAL_ONLY: "0",
        "RAY_CHDIR_TO_TRIAL_DIR": "0",  # trials inherit it: Tune hands them no variables here (`hand_to_trials`)
    }
    with environment(settings), loopback():
        ray.init(address="local", _node_ip_address=LOOPBACK, _temp_dir=str(folder), include_dashboard=False, **quiet)


@contextlib.contextmanager
def environment(variables: dict[str, str]) -> Iterator[None]:
    """Set environment variables for the processes that start within the block."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def first_line(error: Exception) -> str:
    """Return the first line of Ray's error."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]
