"""Slurm on hosts in network namespaces: a controller and two nodes, one of them on the controller's host."""

from __future__ import annotations

import os
import secrets
import shutil
import sys
from pathlib import Path

from tests.cluster.hosts import SOURCES, STORAGE, Host, Hosts, wait_until

TOOLS = ("slurmctld", "slurmd", "munged", "sbatch")
NODES = ("node-1", "node-2")
CHECKOUT = f"{STORAGE}/checkout"
CONFIGURATION = """\
ClusterName=test
SlurmctldHost=node-1
SlurmUser=root
AuthInfo=socket=/tmp/munge/socket
StateSaveLocation=/tmp/slurmctld
SlurmdSpoolDir=/tmp/slurmd
SlurmctldPidFile=/tmp/slurmctld.pid
SlurmdPidFile=/tmp/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
MpiDefault=none
ReturnToService=2
SlurmdParameters=config_overrides
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
NodeName=node-[1-2] CPUs=2 State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


def missing() -> str | None:
    """Return the parts of Slurm that are not installed; None if all are."""
    lacking = [tool for tool in TOOLS if shutil.which(tool, path=f"{os.environ['PATH']}:/usr/sbin") is None]
    return f"needs {', '.join(lacking)} (Debian: apt-get install slurm-wlm munge)" if lacking else None


class SlurmHosts:
    """A context manager; the file system that all share is `shared` here, and `/mnt` on the hosts."""

    def __init__(self, folder: Path) -> None:
        self.hosts = Hosts(folder, *NODES)
        self.shared = self.hosts.shared

    def __enter__(self) -> SlurmHosts:
        self.hosts.__enter__()
        try:
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.hosts.__exit__()

    @property
    def head(self) -> Host:
        return self.hosts["node-1"]

    def _start(self) -> None:
        (self.shared / "slurm.conf").write_text(CONFIGURATION)
        checkout = self.shared / "checkout"
        checkout.mkdir()
        for source in ("fame", "tuning", "cluster", "pyproject.toml"):
            (checkout / source).symlink_to(SOURCES / source)
        (checkout / ".venv").symlink_to(sys.prefix)
        key = secrets.token_bytes(128)
        for host in self.hosts.hosts.values():
            host.environment["SLURM_CONF"] = f"{STORAGE}/slurm.conf"
            host.environment["PATH"] += ":/usr/sbin"
            munge = host.folder / "tmp/munge"
            munge.mkdir(mode=0o755)
            (munge / "key").write_bytes(key)
            (munge / "key").chmod(0o400)
            files = {"key-file": "key", "socket": "socket", "pid-file": "pid", "log-file": "log", "seed-file": "seed"}
            options = [f"--{option}=/tmp/munge/{file}" for option, file in files.items()]
            host.must("munged", "--force", *options)
        self.head.background("slurmctld", "-D", log="slurmctld.log")
        for name in NODES:
            self.hosts[name].background("slurmd", "-D", "-N", name, log="slurmd.log")
        wait_until(lambda: self.head.run("sinfo", "-h", "-o", "%T %D").stdout == "idle 2\n", what="for Slurm's nodes")

    def state(self, job: str) -> str:
        """A job's state and exit code, such as `COMPLETED 0:0`."""
        fields = dict(
            field.split("=", 1) for field in self.head.must("scontrol", "show", "job", job).split() if "=" in field
        )
        return f"{fields['JobState']} {fields['ExitCode']}"
