"""A PostgreSQL server of Debian's package on loopback, with a data folder of its own."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

from tests.tuning.mlflow_server import free_port

DEBIAN = "/usr/lib/postgresql"
"""Where the package puts the servers, outside PATH."""


def program(name: str) -> str | None:
    """Path of a program of the newest PostgreSQL here; None if there is none."""
    found = sorted(Path(DEBIAN).glob(f"*/bin/{name}"), key=lambda path: int(path.parts[-3]))
    return str(found[-1]) if found else shutil.which(name)


class Postgres:
    """It refuses to run as root, and then runs as the package's own user."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="fame-postgres-"))  # pytest's folders are open to one user only
        self.port = free_port()
        self.uri = f"postgresql://fame@127.0.0.1:{self.port}/postgres"
        self._as: dict[str, object] = {}
        if os.geteuid() == 0:
            user = pwd.getpwnam("postgres")
            os.chown(self.folder, user.pw_uid, user.pw_gid)
            self._as = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
        self._run("initdb", "--username=fame", "--auth=trust", "--no-sync")
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen(
                [program("postgres"), "-D", self.folder / "data", "-h", "127.0.0.1", "-p", str(self.port), "-k", ""],
                stdout=log,
                stderr=log,
                cwd=self.folder,
                start_new_session=True,
                **self._as,
            )
        for _ in range(600):
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return
            except OSError:
                time.sleep(0.2)
        raise RuntimeError((self.folder / "log").read_text())

    def stop(self) -> None:
        """As after a crash: connections are cut, the next start recovers from its log."""
        if self.process is not None:
            self.process.send_signal(signal.SIGQUIT)
            self.process.wait()
            self.process = None

    def remove(self) -> None:
        self.stop()
        shutil.rmtree(self.folder)

    def _run(self, name: str, *args: str) -> None:
        command = [program(name), "-D", str(self.folder / "data"), *args]
        subprocess.run(command, cwd=self.folder, check=True, capture_output=True, **self._as)
