"""The doctor's probe of one node: an actor that lives there.

It is sent by value, since the nodes get `fame` and `tuning`, but not this package.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import ray.cloudpickle
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from fame.remote import is_remote, open_uri
from tuning.machines.checks import Machine
from tuning.storage.layout import root

SIDE = 64
"""Rows of the matrices that a GPU multiplies."""
VISIBLE_SECONDS = 5.0
"""How long a file of another node may take to be seen, as on NFS."""


@dataclass(frozen=True, kw_only=True)
class Gpus:
    """The GPUs of a node, as torch sees them."""

    names: Sequence[str]
    driver: str
    """The NVIDIA driver's version, or what its tool says; empty without one."""
    problems: Sequence[str]
    """Why torch has none, or cannot calculate on one."""


class Probe:
    """Looks at its node, and writes and reads there."""

    def machine(self, packages: Sequence[str]) -> Machine:
        return Machine.here(packages)

    def auth_mode(self) -> str | None:
        return os.environ.get("RAY_AUTH_MODE")

    def now(self) -> float:
        return time.time()

    def gpus(self) -> Gpus:
        import torch

        names, problems = [], []
        try:
            for index in range(torch.cuda.device_count()):
                names.append(torch.cuda.get_device_name(index))
                ones = torch.ones(SIDE, SIDE, device=f"cuda:{index}")
                if (ones @ ones).sum().item() != SIDE**3:
                    problems.append(f"GPU {index} multiplies matrices wrong")
        except (RuntimeError, AssertionError) as error:  # no driver, an old one, a card that fell off its bus
            problems.append(" ".join(str(error).split())[:200])
        if not names and torch.version.cuda is None and shutil.which("nvidia-smi"):
            problems.append("this torch is built for CPUs only")
        return Gpus(names=names, driver=driver_version(), problems=problems)

    def write(self, folder: str, name: str) -> None:
        """Write a file that says its own name into a folder of the storage."""
        filesystem, path = open_place(folder)
        with filesystem.open_output_stream(f"{path}/{name}") as file:
            file.write(name.encode())

    def unread(self, folder: str, names: Sequence[str]) -> list[str]:
        """Files of the folder that cannot be read here, or say something else."""
        filesystem, path = open_place(folder)
        left, deadline = list(names), time.monotonic() + VISIBLE_SECONDS
        while left:
            left = [name for name in left if read(filesystem, f"{path}/{name}") != name.encode()]
            if not left or time.monotonic() > deadline:
                break
            time.sleep(0.2)
        return left


def read(filesystem: Any, path: str) -> bytes | None:
    try:
        with filesystem.open_input_stream(path) as file:
            return file.read()
    except FileNotFoundError:
        return None


def open_place(place: str) -> tuple[Any, str]:
    """The file system and path of a path or URI."""
    if is_remote(place):
        return open_uri(place)
    from pyarrow import fs

    return fs.LocalFileSystem(), str(root(place))


def driver_version() -> str:
    if shutil.which("nvidia-smi") is None:
        return ""
    query = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    done = subprocess.run(query, capture_output=True, text=True, timeout=30, check=False)
    return (done.stdout or done.stderr).strip().partition("\n")[0]


def start_probe(node_id: str) -> Any:
    """An actor on this node and on no other. It takes no CPU and sees all GPUs, so a busy node has room for it."""
    ray.cloudpickle.register_pickle_by_value(__import__(__name__, fromlist=["Probe"]))
    where = NodeAffinitySchedulingStrategy(node_id, soft=False)
    options: dict[str, Any] = {"scheduling_strategy": where}  # Ray's types know fewer strategies than Ray
    return ray.remote(num_cpus=0, num_gpus=0, max_restarts=0, **options)(Probe).remote()
