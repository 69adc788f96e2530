"""A Ray cluster on hosts in network namespaces: a head, two workers, and a laptop that is no part of it."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from tests.cluster.hosts import SOURCES, STORAGE, Host, Hosts, wait_until

WORKERS = ("worker-1", "worker-2")
TRACKING = "http://head:5000"
DASHBOARD = "http://head:8265"
SETTINGS = {
    "RAY_AUTH_MODE": "token",
    "RAY_AUTH_TOKEN": "of-these-hosts-only",
    # A node that does not answer is dead after some 20 s, instead of a minute.
    "RAY_health_check_initial_delay_ms": "2000",
    "RAY_health_check_period_ms": "1000",
    "RAY_health_check_timeout_ms": "3000",
    "RAY_health_check_failure_threshold": "5",
}
OBJECT_STORE = "268435456"


class RayHosts:
    """A context manager; the storage that all share is `shared` here, and `/mnt` on the hosts."""

    def __init__(self, folder: Path) -> None:
        self.hosts = Hosts(folder, "head", *WORKERS, "laptop")
        self.shared = self.hosts.shared

    def __enter__(self) -> RayHosts:
        self.hosts.__enter__()
        try:
            for host in self.hosts.hosts.values():
                host.environment |= SETTINGS
            self.head.background(
                *f"mlflow server --host {self.head.address} --port 5000 --workers 1 --allowed-hosts head:5000".split(),
                *f"--backend-store-uri sqlite:///{STORAGE}/mlflow.db --artifacts-destination {STORAGE}/artifacts".split(),
                log="mlflow.log",
            )
            self.head.must(
                *f"ray start --head --node-ip-address {self.head.address} --port 6379 --num-cpus 0".split(),
                *f"--dashboard-host {self.head.address} --object-store-memory {OBJECT_STORE}".split(),
            )
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.hosts.__exit__()

    @property
    def head(self) -> Host:
        return self.hosts["head"]

    def join(self, name: str, **environment: str) -> None:
        """Let a worker join, once nothing of its last time is left."""
        host = self.hosts[name]
        host.end_processes()
        host.must(
            *f"ray start --address head:6379 --node-ip-address {host.address}".split(),
            *f"--num-cpus 1 --object-store-memory {OBJECT_STORE}".split(),
            env=environment,
        )
        wait_until(lambda: name in self.alive(), what=f"for {name} to join")

    def alive(self) -> set[str]:
        """Names of the nodes that Ray takes to be alive."""
        code = (
            "import json, ray; ray.init('auto', logging_level='ERROR', log_to_driver=False); "
            "print('alive', json.dumps([n['NodeManagerHostname'] for n in ray.nodes() if n['Alive']]))"
        )
        lines = self.head.must("python", "-c", code).splitlines()
        (alive,) = [line for line in lines if line.startswith("alive ")]  # Ray may say something, too
        return set(json.loads(alive.removeprefix("alive ")))

    def submit(self, *args: str) -> subprocess.Popen:
        """`ray job submit` from the laptop, with this checkout as working directory: a sweep over the cluster."""
        return self.hosts["laptop"].start(
            *("ray", "job", "submit", "--address", DASHBOARD, "--working-dir", str(SOURCES), "--"),
            *("python", "tuning/sweep.py", "--address", "auto"),
            *("--storage", f"{STORAGE}/runs", "--tracking-uri", TRACKING, *args),
        )

    def doctor(self, *args: str) -> tuple[int, dict[str, list[str]]]:
        """Run the doctor on the head: its exit code, and the rest of its lines by their first word."""
        command = ("python", "-m", "cluster.doctor", "--address", "auto", *args)
        done = self.head.run(*command, seconds=600, cwd=str(SOURCES))
        lines: dict[str, list[str]] = {}
        for line in done.stdout.splitlines():
            level, _, rest = line.partition(" ")
            lines.setdefault(level, []).append(" ".join(rest.split()))
        return done.returncode, lines
