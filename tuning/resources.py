"""Connecting to Ray, and how many trials fit at a time."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fame.errors import UserError
from tuning.options import Options
from tuning.scratch import remove_when_left

LOOPBACK = "127.0.0.1"
SOURCES = Path(__file__).parent.parent
WORKER_ENVIRONMENT = {
    # `ray.train.report` waits until the controller polls: at the default 2 s, short epochs would take 2 s.
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.2",
}
STARTS = 2
"""How often a local Ray is started: on a busy machine it can miss its own time limits."""
LEAVING_SECONDS = 10.0
"""Longest wait for the processes of trials to end after Ray has."""


@dataclass(frozen=True, kw_only=True)
class Resources:
    """What trials take, and how many of them fit."""

    cpus: int
    gpus: int
    workers: int
    cpus_per_worker: int
    gpus_per_worker: float
    concurrent: int

    def __str__(self) -> str:
        gpus = f" and {self.gpus_per_worker:g} GPUs" if self.gpus_per_worker else ""
        return (
            f"{self.concurrent} at a time, each {self.workers} × {self.cpus_per_worker} CPUs{gpus}, "
            f"of {self.cpus} CPUs and {self.gpus} GPUs"
        )


@contextlib.contextmanager
def cluster(address: str | None, dashboard: bool) -> Iterator[None]:
    """Ray, connected to for as long as the block lasts. Raises `UserError` as `connect` does."""
    import ray

    try:
        connect(address, dashboard)
        yield
    finally:
        ray.shutdown()


def tidy(trial_ids: Collection[str]) -> None:
    """Remove what killed processes of these trials have left on this machine, once they are gone."""
    remove_when_left(trial_ids, LEAVING_SECONDS)


def connect(address: str | None, dashboard: bool) -> None:
    """Connect to the Ray cluster at `address`, or start a local one that ends with this process.

    `dashboard` says whether the local one needs Ray's dashboard, which takes a while to start.

    Raises `UserError` if the cluster does not answer.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    # Tune's own progress output; `tuning.progress` has ours.
    os.environ.setdefault("RAY_AIR_NEW_OUTPUT", "0")
    # Tune would save its state every 10 s or more; what it has not saved is lost to a kill.
    os.environ.setdefault("TUNE_GLOBAL_CHECKPOINT_S", "1")
    import ray

    quiet = {"logging_level": "ERROR", "log_to_driver": False}
    if address is None:
        # At Ray's niceness of 15 any other process of the machine starves the trials, which are the work.
        os.environ.setdefault("RAY_worker_niceness", "0")
        # A trial is several small processes; Ray warns of more than four times this number.
        os.environ.setdefault("RAY_worker_maximum_startup_concurrency", str(max(8, os.cpu_count() or 1)))
        for left in reversed(range(STARTS)):
            try:
                _start(quiet, dashboard)
                return
            except Exception as error:  # Ray raises just that when its processes take more than half a minute
                if not left:
                    raise UserError(
                        f"Ray did not start on this machine ({_first_line(error)}); try again when it has less to do"
                    ) from error
    runtime = {"env_vars": WORKER_ENVIRONMENT, "py_modules": [str(SOURCES / "fame"), str(SOURCES / "tuning")]}
    try:
        ray.init(address=address, runtime_env=runtime, **quiet)
    except (ConnectionError, RuntimeError, ValueError, OSError) as error:
        raise UserError(
            f"--address {address}: no Ray cluster answers there ({_first_line(error)}); "
            "start one with 'ray start --head'"
        ) from None


def _start(quiet: dict[str, Any], dashboard: bool) -> None:
    """Start a local cluster."""
    import ray

    # What gives back the resources of a trial that is stopped is an actor of Ray Train that asks the
    # dashboard whether the trial still lives (ray#65443). It looks for the cluster on this machine, and
    # gives up if there are two, unless it is told the address: so the port is chosen here.
    port = _free_port()
    variables = {
        **WORKER_ENVIRONMENT,
        "RAY_GCS_SERVER_PORT": str(port),
        "RAY_ADDRESS": f"{LOOPBACK}:{port}",
        "PYTHONPATH": _with_sources(os.environ.get("PYTHONPATH")),
    }
    # Not as a `runtime_env`: the processes that Ray starts in advance would have another environment, and
    # each trial would wait for new ones.
    with _environment(variables):
        ray.init(address="local", _node_ip_address=LOOPBACK, include_dashboard=dashboard, **quiet)


@contextlib.contextmanager
def _environment(variables: dict[str, str]) -> Iterator[None]:
    """Environment variables for the processes that are started within the block, and what those start."""
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


def found() -> tuple[int, int]:
    """CPUs and GPUs of the cluster, or of this machine if Ray is not connected."""
    import ray

    if ray.is_initialized():
        total = ray.cluster_resources()
        return int(total.get("CPU", 0)), int(total.get("GPU", 0))
    import torch

    return os.cpu_count() or 1, torch.cuda.device_count()


def plan(options: Options, cpus: int, gpus: int) -> Resources:
    """How trials share the CPUs and GPUs. Raises `UserError` if not even one fits."""
    share = options.gpus_per_worker if options.gpus_per_worker is not None else float(gpus > 0)
    # A share of a GPU is of one GPU: what is left of several does not add up.
    room = gpus * int(1 / share) if 0 < share < 1 else int(gpus / share) if share else options.workers
    if room < options.workers:
        raise UserError(
            f"--gpus-per-worker {share:g} with {options.workers} workers asks for {options.workers * share:g} GPUs, "
            f"but Ray has {gpus}, with room for {room} such workers; ask for fewer, or 0 to train on CPUs"
        )
    if options.workers * options.cpus_per_worker > cpus:
        raise UserError(
            f"{options.workers} workers with {options.cpus_per_worker} CPUs each ask for "
            f"{options.workers * options.cpus_per_worker} CPUs, but Ray has {cpus}; lower --workers or --cpus-per-worker"
        )
    fits = cpus // (options.workers * options.cpus_per_worker)
    if share:
        fits = min(fits, room // options.workers)
    return Resources(
        cpus=cpus,
        gpus=gpus,
        workers=options.workers,
        cpus_per_worker=options.cpus_per_worker,
        gpus_per_worker=share,
        concurrent=min(fits, options.concurrent or fits),
    )


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return probe.getsockname()[1]


def _with_sources(path: str | None) -> str:
    return os.pathsep.join([str(SOURCES), *([path] if path else [])])
