"""Connects to Ray, and counts the trials that fit at a time."""

from __future__ import annotations

import contextlib
import dataclasses
import math
import os
import socket
import sys
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from fame.artifacts import remove_abandoned
from fame.errors import UserError
from fame.remote import is_remote
from tuning.machines.local_ray import (
    LEAVING_SECONDS,
    SOURCES,
    disconnect,
    files_in,
    first_line,
    local_ray,
    make,
    remove,
)
from tuning.plan.options import Options
from tuning.plan.size import TrialShare
from tuning.ray_internals.addresses import head_address
from tuning.ray_internals.plain_output import print_without_colours
from tuning.storage.layout import root
from tuning.storage.remote_folder import open_folder
from tuning.trial.scratch import remove_when_left

CONNECT_SECONDS = 10.0
"""Longest wait for the head of a cluster to take a connection."""
REFRESH_SECONDS = 1.0
"""Seconds for which the cluster's answer about its resources is used."""


class NodeResources(NamedTuple):
    """The resources of a machine of the cluster."""

    cpus: int
    gpus: int


@dataclass(frozen=True, kw_only=True)
class Resources:
    """The resources of a trial, and the number of trials at a time."""

    workers: int
    cpus_per_worker: int
    gpus_per_worker: float
    nodes: tuple[NodeResources, ...]
    """The cluster's nodes when the sweep was planned."""
    concurrent: int | None
    """Trials at a time. None: as many as the cluster has room for at that time."""

    def fits(self, nodes: Iterable[NodeResources]) -> int:
        """Return the number of trials that fit on these nodes. A worker, and a share of a GPU, is on one node."""
        return sum(map(self._workers_on, nodes)) // self.workers

    def _workers_on(self, node: NodeResources) -> int:
        fits, share = node.cpus // self.cpus_per_worker, self.gpus_per_worker
        if not share:
            return fits
        # A share is of one GPU. The rests of several GPUs do not add up.
        return min(fits, node.gpus * int(1 / share) if share < 1 else int(node.gpus / share))

    @property
    def share(self) -> TrialShare:
        """The cores and GPUs of a trial, for an estimate of the sweep's time."""
        return TrialShare(
            cores=self.workers * self.cpus_per_worker,
            gpus=self.workers * self.gpus_per_worker,
            at_a_time=self.concurrent or max(1, self.fits(self.nodes)),
        )

    @property
    def needed(self) -> str:
        """The resources that a trial waits for, in words."""
        share = self.gpus_per_worker
        gpus = f"{share:g} {'GPU' if share <= 1 else 'GPUs'} + " if share else ""
        worker = f"{gpus}{_counted(self.cpus_per_worker, 'CPU')}"
        return worker if self.workers == 1 else f"{self.workers} × ({worker})"

    def __str__(self) -> str:
        gpus = f" and {self.gpus_per_worker:g} GPUs" if self.gpus_per_worker else ""
        each = f"each {self.workers} × {self.cpus_per_worker} CPUs{gpus}, of {total(self.nodes)}"
        return f"{self.concurrent or self.fits(self.nodes)} at a time{'' if self.concurrent else ' now'}, {each}"


class Room:
    """The number of trials that may run now: the number asked for, or the room of the cluster, which changes.

    It is at least one: a request on a full cluster makes an autoscaler add nodes.
    """

    def __init__(self, resources: Resources) -> None:
        self.resources = resources
        self._asked = -math.inf
        self._fits = 1

    def __call__(self) -> int:
        if self.resources.concurrent is not None:
            return self.resources.concurrent
        if time.monotonic() - self._asked >= REFRESH_SECONDS:
            self._fits = max(1, self.resources.fits(found()))
            self._asked = time.monotonic()
        return self._fits

    def __getstate__(self) -> dict[str, Any]:
        """Tune pickles the search with the sweep. Another process has another clock."""
        return {"resources": self.resources}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _asked=-math.inf, _fits=1)


def total(nodes: Iterable[NodeResources]) -> str:
    """Return the resources of all nodes together, in words."""
    nodes = tuple(nodes)
    return f"{_counted(sum(n.cpus for n in nodes), 'CPU')} and {_counted(sum(n.gpus for n in nodes), 'GPU')}"


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


@contextlib.contextmanager
def cluster(address: str | None, folder: Path, verbose: bool = False) -> Iterator[None]:
    """Ray for as long as the block lasts: the cluster at `address`, or one of our own with its session in `folder`.

    With a cluster, Ray's files of this process alone are there. `verbose` says whether Ray and the trials' processes are
    heard. Raises `UserError` if the cluster does not answer, or if this process is connected to Ray.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    # Tune's own progress output; `tuning.terminal.progress` has ours.
    os.environ.setdefault("RAY_AIR_NEW_OUTPUT", "0")
    import ray

    if ray.is_initialized():
        raise UserError(
            "this process is connected to Ray already, and a sweep connects itself; call ray.shutdown() first"
        )
    if not (sys.stdout.isatty() and sys.stderr.isatty()):  # a file or pipe
        print_without_colours()
    quiet = {} if verbose else {"logging_level": "ERROR", "log_to_driver": False}
    if address is None:
        with local_ray(folder, quiet):
            yield
        return

    make(folder)
    try:
        connect(address, quiet)
        with files_in(folder):
            yield
    finally:
        disconnect()
        remove(folder, 0.0)


def tidy(trial_ids: Collection[str], stages: str) -> None:
    """Remove the files that killed processes of these trials have left on this machine.

    `stages` is the path or URI of the folder in which trials share stages.
    """
    remove_when_left(trial_ids, LEAVING_SECONDS)
    if is_remote(stages) or root(stages).is_dir():
        with contextlib.suppress(OSError):  # whoever needs one of the stages next does the same
            remove_abandoned(open_folder(stages))


def connect(address: str, quiet: dict[str, Any]) -> None:
    """Connect to the Ray cluster at `address`. Raises `UserError` if it does not answer."""
    import ray

    runtime = {"py_modules": [str(SOURCES / "fame"), str(SOURCES / "tuning")]}
    check_listens(address)
    with refused_in_one_line(address):
        ray.init(address=address, runtime_env=runtime, **quiet)


def check_listens(address: str) -> None:
    """Raise `UserError` if nothing listens there: Ray would try for a quarter of an hour."""
    with refused_in_one_line(address):
        head = head_address(address)
        if head is not None:
            with socket.create_connection(head, timeout=CONNECT_SECONDS):
                pass
        elif address == "auto":
            raise ConnectionError("Ray knows of no cluster on this machine")


@contextlib.contextmanager
def refused_in_one_line(address: str) -> Iterator[None]:
    """Turn what is raised where no cluster answers into a `UserError`."""
    try:
        yield
    except (ConnectionError, RuntimeError, ValueError, OSError) as error:
        raise UserError(
            f"--address {address}: no Ray cluster answers there ({first_line(error)}); "
            "start one with 'ray start --head'"
        ) from None


def found() -> list[NodeResources]:
    """Return the nodes of the cluster, or this machine if Ray is not connected."""
    import ray

    if not ray.is_initialized():
        import torch

        return [NodeResources(os.cpu_count() or 1, torch.cuda.device_count())]
    return [as_node(node["Resources"]) for node in ray.nodes() if node["Alive"]]


def as_node(amounts: Mapping[str, float]) -> NodeResources:
    """Return a node from resources in Ray's words."""
    return NodeResources(int(amounts.get("CPU", 0)), int(amounts.get("GPU", 0)))


def plan(options: Options, nodes: Sequence[NodeResources]) -> Resources:
    """Return how trials share the nodes' CPUs and GPUs.

    Raises `UserError` if no trial fits on a Ray of the sweep's own. A cluster may get nodes later: there the trial
    waits (`tuning.terminal.waiting`).
    """
    share = options.gpus_per_worker
    if share is None:
        share = float(any(node.gpus for node in nodes))
    resources = Resources(
        workers=options.workers,
        cpus_per_worker=options.cpus_per_worker,
        gpus_per_worker=share,
        nodes=tuple(nodes),
        concurrent=options.concurrent,
    )
    if options.address is not None:
        return resources
    fits = resources.fits(nodes)
    if not fits:
        raise UserError(_too_much(resources))
    return dataclasses.replace(resources, concurrent=min(fits, options.concurrent or fits))


def _too_much(resources: Resources) -> str:
    """Return why no trial fits on this machine."""
    workers, share, (node,) = resources.workers, resources.gpus_per_worker, resources.nodes
    cpus = workers * resources.cpus_per_worker
    if cpus > node.cpus:
        return (
            f"{workers} workers with {resources.cpus_per_worker} CPUs each ask for {cpus} CPUs, "
            f"but Ray has {node.cpus}; lower --workers or --cpus-per-worker"
        )
    room = dataclasses.replace(resources, workers=1).fits(resources.nodes)
    return (
        f"--gpus-per-worker {share:g} with {workers} workers asks for {workers * share:g} GPUs, "
        f"but Ray has {node.gpus}, with room for {room} such workers; ask for fewer, or 0 to train on CPUs"
    )
