"""Several hosts on this machine, as far as Ray can tell: each has its own address, name, processes and `/tmp`.

A host is a process in namespaces of its own, and a cable (veth) to a bridge in the namespace of one that is
the switch. Nothing has a name outside, so when these processes end, and they end with the one that made
them, the kernel takes all the rest away.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

SOURCES = Path(__file__).parents[2]
NETWORK = "10.77.0"
STORAGE = "/mnt"
"""Where each host has the folder that they share."""
ENDS_WITH_PARENT = 1
"""`PR_SET_PDEATHSIG`."""


def missing() -> str | None:
    """Why hosts cannot be made here; None if they can."""
    if os.geteuid() != 0:
        return "hosts in network namespaces need root"
    for tool, package in {"ip": "iproute2", "unshare": "util-linux", "nsenter": "util-linux"}.items():
        if shutil.which(tool) is None:
            return f"hosts in network namespaces need {tool} (Debian: apt-get install {package})"
    if Path(sys.prefix).is_relative_to("/tmp") or SOURCES.is_relative_to("/tmp"):
        return "the environment or the checkout lies under /tmp, of which each host has its own"
    probe = subprocess.run(["unshare", "--net", "--pid", "--mount", "--uts", "--fork", "true"], capture_output=True)
    return f"namespaces cannot be made here: {probe.stderr.decode().strip()}" if probe.returncode else None


def _end_with_parent() -> None:
    ctypes.CDLL(None).prctl(ENDS_WITH_PARENT, signal.SIGKILL)


class Host:
    """One host: runs commands with its own environment."""

    def __init__(self, folder: Path, address: str, keeper: subprocess.Popen, init: int) -> None:
        self.folder, self.address, self.keeper, self.init = folder, address, keeper, init
        self.name = folder.name
        self.space = os.stat(f"/proc/{init}/ns/pid").st_ino
        self.environment = {
            # What this machine has set (RAY_ADDRESS, RAY_TMPDIR, …) is not the host's.
            **{key: os.environ[key] for key in ("PATH", "LANG", "OPENBLAS_CORETYPE") if key in os.environ},
            "HOME": "/tmp/home",
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "OMP_NUM_THREADS": "1",
            "RAY_USAGE_STATS_ENABLED": "0",
        }

    def start(self, *command: str, cwd: str = "/tmp/home", env: Mapping[str, str] | None = None) -> subprocess.Popen:
        """Start a command; its output is text, both kinds in one."""
        enter = ["nsenter", "--target", str(self.init), "--net", "--pid", "--mount", "--uts", f"--wdns={cwd}"]
        return subprocess.Popen(
            [*enter, "--", *command],
            env={**self.environment, **(env or {})},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            preexec_fn=_end_with_parent,
            start_new_session=True,
        )

    def run(self, *command: str, seconds: float = 300, **kwargs: object) -> subprocess.CompletedProcess:
        """Run a command to its end."""
        process = self.start(*command, **kwargs)
        try:
            out, _ = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)  # nsenter and what it started
            out, _ = process.communicate()
            raise AssertionError(f"{self.name}: {' '.join(command)} took more than {seconds} s:\n{out}") from None
        return subprocess.CompletedProcess(command, process.returncode, out)

    def must(self, *command: str, **kwargs: object) -> str:
        """Run a command that has to succeed; returns its output."""
        done = self.run(*command, **kwargs)
        assert done.returncode == 0, f"{self.name}: {' '.join(command)} ended with {done.returncode}:\n{done.stdout}"
        return done.stdout

    def background(self, *command: str, log: str, env: Mapping[str, str] | None = None) -> None:
        """Start a command that runs as long as the host; its output goes to `LOG` in the host's `/tmp`."""
        self.must("sh", "-c", f'setsid "$@" > /tmp/{log} 2>&1 &', "sh", *command, env=env)

    def processes(self, word: str = "") -> list[int]:
        """Processes of the host whose command line has a word in it, as this machine counts them; not the first."""
        found = []
        for path in Path("/proc").glob("[0-9]*"):
            try:
                if os.stat(path / "ns/pid").st_ino == self.space and word in (path / "cmdline").read_text():
                    found.append(int(path.name))
            except OSError:
                continue
        return sorted(set(found) - {self.init})

    def end_processes(self) -> None:
        """End everything that runs on the host, as its power switch would, but for the host itself."""
        wait_until(lambda: not [_kill(pid) for pid in self.processes() if not _is_zombie(pid)])


class Hosts:
    """Hosts with the addresses 10.77.0.1, .2, … in one network; a context manager."""

    def __init__(self, folder: Path, *names: str) -> None:
        self.folder, self.shared = folder, folder / "shared"
        self.shared.mkdir(parents=True)
        self.addresses = {name: f"{NETWORK}.{number}" for number, name in enumerate(names, start=1)}
        self.hosts: dict[str, Host] = {}
        self.made: list[Host] = []

    def __enter__(self) -> Hosts:
        try:
            self.switch = self._make("switch", "")
            self._on_switch("ip", "link", "add", "bridge", "type", "bridge")
            self._on_switch("ip", "link", "set", "bridge", "up")
            for name, address in self.addresses.items():
                host = self.hosts[name] = self._make(name, address)
                self._on_switch(*["ip", "link", "add"], name, *f"type veth peer name eth0 netns {host.init}".split())
                self._on_switch("ip", "link", "set", name, "master", "bridge", "up")
                host.must("ip", "address", "add", f"{address}/24", "dev", "eth0")
                host.must("ip", "link", "set", "eth0", "up")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for host in self.made:
            with host.keeper:
                host.keeper.kill()  # it takes the host's first process with it, and that all of its others
            wait_until(lambda host=host: not host.processes(), what=f"for the processes of {host.name} to end")

    def __getitem__(self, name: str) -> Host:
        return self.hosts[name]

    def cut(self, name: str) -> None:
        """Pull a host's cable."""
        self._on_switch("ip", "link", "set", name, "down")

    def mend(self, name: str) -> None:
        """Plug it in again."""
        self._on_switch("ip", "link", "set", name, "up")

    def _on_switch(self, *command: str) -> None:
        # In this machine's PID namespace, where the hosts' first processes have numbers.
        subprocess.run(["nsenter", "--target", str(self.switch.init), "--net", "--", *command], check=True)

    def _make(self, name: str, address: str) -> Host:
        folder = self.folder / name
        (folder / "tmp/home").mkdir(parents=True)
        names = "".join(f"{address} {name}\n" for name, address in self.addresses.items())
        (folder / "hosts").write_text(f"127.0.0.1 localhost\n{names}")
        keeper = subprocess.Popen(
            [
                *("unshare", "--net", "--pid", "--mount", "--uts", "--fork", "--kill-child", "--mount-proc"),
                *(sys.executable, str(Path(__file__).with_name("init.py")), str(folder), str(self.shared)),
            ],
            stdout=subprocess.PIPE,
            text=True,
            preexec_fn=_end_with_parent,
        )
        assert keeper.stdout.readline() == "ready\n", f"host {name} did not start"
        init = int(Path(f"/proc/{keeper.pid}/task/{keeper.pid}/children").read_text().split()[0])
        self.made.append(Host(folder, address, keeper, init))
        return self.made[-1]


def wait_until(condition: Callable[[], object], seconds: float = 900, what: str = "") -> None:
    """Wait until something holds, or fail."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds} s {what}"
        time.sleep(0.2)


def _kill(pid: int) -> int:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    return pid


def _is_zombie(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True
