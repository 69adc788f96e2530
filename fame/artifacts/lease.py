"""The right to compute something that other processes, here or on other machines, then need not.

A lease is a small file that its owner rewrites every few seconds. Who waits compares the text, not
times: nodes' clocks differ. If it has not changed for long, the owner counts as dead. Then the first process that
creates the file of the next number is the new owner. Only the creation has to be atomic. On the owner's own machine its
death is seen at once.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fame.artifacts.folder import Folder

PATIENCE = 60.0
"""Seconds without a heartbeat after which an owner is taken for dead. An owner that was only slow computes
what another one does too: a waste, no error, since both get the same."""
MARK = ".lease-"
"""In the name of each lease, after the name of what it is on."""
BEATS = 6
"""Heartbeats within that time."""


class Lease:
    """A lease on `name`, not held at first."""

    def __init__(self, folder: Folder, name: str, patience: float = PATIENCE) -> None:
        self.folder, self.prefix, self.patience = folder, f"{name}{MARK}", patience
        self._owner = {
            "token": uuid.uuid4().hex,
            "host": socket.gethostname(),
            "machine": machine(),
            "pid": os.getpid(),
            "started": started(),
        }
        self._file: str | None = None
        self.lost = False
        """Whether another process took it over, since this one did not beat in time."""
        self._ended, self._resting = threading.Event(), False
        self._seen: tuple[str | None, str | None] = (None, None)
        self._since = time.monotonic()

    def acquire(self) -> bool:
        """Whether the lease is held from now on; ask again until it is, or not needed any more."""
        numbers = sorted(int(name.removeprefix(self.prefix)) for name in self.folder.names(self.prefix))
        if numbers and not self._is_dead(self._name(numbers[-1])):
            return False
        name = self._name(numbers[-1] + 1 if numbers else 1)
        if not self.folder.create(name, self._text(0)):
            return False
        self._file = name
        for number in numbers:
            self.folder.remove(self._name(number))
        threading.Thread(target=self._beat, args=(name,), daemon=True).start()
        return True

    def holder(self) -> dict[str, Any] | None:
        """Return the lease's owner: `host`, `machine`, `pid`, and a `beat` that counts on; None if nobody is known to."""
        names = sorted(self.folder.names(self.prefix))
        return _parsed(self.folder.read(names[-1])) if names else None

    @contextlib.contextmanager
    def resting(self) -> Iterator[None]:
        """Around handing control away: if it does not come back in time, another one may take over."""
        self._resting = True
        try:
            yield
        finally:
            self._resting = False

    def release(self) -> None:
        """Give the lease up, if it is held."""
        self._ended.set()
        if self._file is not None:
            with contextlib.suppress(OSError):  # a place that became read-only: without heartbeats it is given up, too
                self.folder.remove(self._file)
            self._file = None

    def _is_dead(self, name: str) -> bool:
        text = self.folder.read(name)
        if (name, text) != self._seen:
            self._seen, self._since = (name, text), time.monotonic()
        return died_here(text) or time.monotonic() - self._since >= self.patience

    def _beat(self, name: str) -> None:
        count = 0
        while not self._ended.wait(self.patience / BEATS):
            count += not self._resting
            with contextlib.suppress(OSError):  # a place that does not answer now may at the next beat
                if not self._resting and not self.folder.rewrite(name, self._text(count)):
                    self.lost = not self._ended.is_set()
                    return

    def _text(self, count: int) -> str:
        return json.dumps({**self._owner, "beat": count})

    def _name(self, number: int) -> str:
        return f"{self.prefix}{number:06d}"


def died_here(text: str | None) -> bool:
    """Whether a lease's owner was a process of this machine that is gone."""
    owner = _parsed(text)
    if owner is None or owner["machine"] is None or owner["machine"] != machine():
        return False
    return started(owner["pid"]) != owner["started"]


def _parsed(text: str | None) -> dict[str, Any] | None:
    """A lease's owner; None while it is being written."""
    try:
        owner = json.loads(text or "")
    except ValueError:
        return None
    return owner if isinstance(owner, dict) and owner.keys() >= {"machine", "host", "pid", "started"} else None


def machine() -> str | None:
    """The running system and the space that its process numbers count in; None where that is not known."""
    try:
        return f"{Path('/proc/sys/kernel/random/boot_id').read_text().strip()} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return None


def started(pid: int | None = None) -> str | None:
    """When a process was started, which tells it from later ones of its number; None if it does not run."""
    try:
        fields = Path(f"/proc/{pid or os.getpid()}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else fields[19]
