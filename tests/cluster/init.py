"""The first process of a host in `hosts.py`: mounts what is the host's own, then reaps what its processes leave.

Run as `python init.py FOLDER SHARED`, alone in new mount, PID, UTS and network namespaces.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path


def main(folder: Path, shared: Path) -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
    for source, target in {folder / "hosts": "/etc/hosts", shared: "/mnt", folder / "tmp": "/tmp"}.items():
        subprocess.run(["mount", "--bind", source, target], check=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1g", "tmpfs", "/dev/shm"], check=True)
    subprocess.run(["hostname", folder.name], check=True)
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    print("ready", flush=True)
    while True:
        signal.sigwait({signal.SIGCHLD})
        with contextlib.suppress(ChildProcessError):  # there are none left
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
