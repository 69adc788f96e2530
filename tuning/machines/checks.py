"""Checks of the machine that a sweep starts on, before anything starts.

A failure ends the sweep with one line. A warning is one line. `python -m cluster.doctor` prints the findings of every node
of a cluster.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import platform
import resource
import shutil
import socket
import tempfile
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from fame.errors import UserError
from fame.remote import is_remote
from tuning.machines.local_ray import SOURCES, check_folder, session_folder
from tuning.machines.resources import check_listens
from tuning.storage.layout import Storage, check_writable, root
from tuning.tracking.addresses import check_tracking_uri
from tuning.tracking.store import be_patient, check_experiment, client_of, in_one_line

if TYPE_CHECKING:
    from packaging.requirements import Requirement
    from packaging.specifiers import SpecifierSet

    from tuning.plan.options import Options

DISTRIBUTION = "fame-tuning"
OPTIONAL = "text"
"""The extra whose packages only some sweeps need."""
SERVING = ("index", "export")
"""The extras whose packages no sweep needs."""
SHARED_MEMORY = 1 << 30
"""Bytes of `/dev/shm`. With fewer, Ray may keep its objects on disk."""
OPEN_FILES = 4096
"""Ray's own limit. With fewer, connections start to fail."""
DISK_FULL = 0.95
"""Share of a disk. When more of it is full, Ray makes no objects on it."""
DISK_NEEDED = 10 << 20
"""Bytes that the first checkpoint needs."""
DISK_FREE = 2 << 30
"""Bytes that should be free for checkpoints, logs and objects that do not fit into memory."""

Level = Literal["ok", "warning", "failure"]


@dataclass(frozen=True)
class Finding:
    """The result of a check, as one line for a person."""

    level: Level
    check: str
    found: str
    advice: str = ""
    """The next step, if there is one."""

    def __str__(self) -> str:
        return f"{self.found}; {self.advice}" if self.advice else self.found


@dataclass(frozen=True, kw_only=True)
class Needs:
    """The versions that this release runs with, as the project declares them."""

    python: SpecifierSet
    packages: Mapping[str, tuple[Requirement, bool]]
    """Requirements by name, and whether every sweep needs them."""

    @classmethod
    def declared(cls) -> Needs:
        """Read them from `pyproject.toml` of the source tree, or from the installed distribution."""
        from packaging.requirements import Requirement
        from packaging.specifiers import SpecifierSet

        file = SOURCES / "pyproject.toml"
        if file.is_file():
            project = tomllib.loads(file.read_text(encoding="utf-8"))["project"]
            python, extras = project["requires-python"], project["optional-dependencies"]
            lines = [(line, "") for line in project["dependencies"]]
            lines += [(line, extra) for extra, group in extras.items() for line in group]
        else:
            meta = importlib.metadata.metadata(DISTRIBUTION)
            python = meta["Requires-Python"]
            lines = [
                (line, line.rpartition("extra == ")[2].strip("\"'")) for line in meta.get_all("Requires-Dist") or ()
            ]
        packages = {}
        for line, extra in lines:
            requirement = Requirement(line)
            if requirement.name != DISTRIBUTION and extra not in SERVING:
                packages[requirement.name] = (requirement, extra != OPTIONAL)
        return cls(python=SpecifierSet(python), packages=packages)


@dataclass(frozen=True, kw_only=True)
class Machine:
    """The properties of a machine, as plain values."""

    host: str
    python: str
    packages: Mapping[str, str | None]
    """Installed versions; None for a missing package."""
    code: str
    """Short hash of the sources of `fame` and `tuning` that this process imports."""
    open_files: int
    shared_memory: int
    """Bytes of `/dev/shm`."""
    disk: str
    """Folder of Ray's logs and of objects that do not fit into memory."""
    disk_bytes: int
    disk_free: int

    @classmethod
    def here(cls, packages: Sequence[str], starts_ray: bool = False) -> Machine:
        """Return this machine. A process that starts Ray raises its limit of open files as far as it may."""
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        folder = os.environ.get("RAY_TMPDIR") or tempfile.gettempdir()
        disk = shutil.disk_usage(existing(Path(folder)))  # Ray makes the folder
        return cls(
            host=socket.gethostname(),
            python=platform.python_version(),
            packages={name: installed(name) for name in packages},
            code=code_hash(),
            open_files=hard if starts_ray else soft,
            shared_memory=shutil.disk_usage("/dev/shm").total if Path("/dev/shm").is_dir() else 0,
            disk=folder,
            disk_bytes=disk.total,
            disk_free=disk.free,
        )


def before_sweep(options: Options, experiment: str, storage: Storage) -> None:
    """Run the checks that a sweep, and its dry run, start with. Prints warnings, raises `UserError` for failures.

    `experiment` is the name that the sweep has in MLflow.
    """
    needs = Needs.declared()
    findings = [
        *check_machine(Machine.here(list(needs.packages), starts_ray=True), needs),
        *check_room(options.storage),
        check_ray(options.address, session_folder(storage)),
        # A sweep that goes on does so without its server, too.
        check_tracking(options.tracking_uri, asks=not options.resume, experiment=experiment),
    ]
    for finding in findings:
        if finding.level == "warning":
            print(f"warning: {finding}")
    failures = [finding for finding in findings if finding.level == "failure"]
    if failures:
        more = f" (and {len(failures) - 1} more: python -m cluster.doctor)" if failures[1:] else ""
        raise UserError(f"{failures[0]}{more}")


def check_machine(machine: Machine, needs: Needs) -> list[Finding]:
    """Return the findings about a machine."""
    files, memory = machine.open_files, machine.shared_memory
    python = Finding("ok", "python", machine.python)
    if machine.python not in needs.python:
        found = f"Python {machine.python} does not fit {needs.python}"
        python = Finding("failure", "python", found, "make the environment with another: make PYTHON=python3.11 sweep")
    ulimit = f"Ray needs {OPEN_FILES:,}: ulimit -n 65536 before it starts (docker run --ulimit nofile=65536)"
    size = f"Ray keeps objects on disk where it has no more; give it {gib(SHARED_MEMORY)} (docker run --shm-size=2g)"
    return [
        python,
        *check_packages(machine, needs),
        _enough(files >= OPEN_FILES, "open files", f"{files:,} open files allowed", ulimit),
        _enough(memory >= SHARED_MEMORY, "shared memory", f"/dev/shm has {gib(memory)}", size),
        check_disk("disk", machine.disk, machine.disk_free, machine.disk_bytes),
    ]


def _enough(good: bool, check: str, found: str, advice: str) -> Finding:
    return Finding("ok", check, found) if good else Finding("warning", check, found, advice)


def check_packages(machine: Machine, needs: Needs) -> list[Finding]:
    """Check that packages are there in versions that fit.

    A wrong package is a failure, or a warning if not every sweep needs it.
    """
    found: dict[bool, list[str]] = {True: [], False: []}
    for name, (requirement, needed) in needs.packages.items():
        version = machine.packages[name]
        if version is None or not requirement.specifier.contains(version, prereleases=True):
            found[needed].append(f"{name} {version or 'is missing'} (needs {requirement.specifier})")
    findings = [
        Finding(
            "failure" if needed else "warning",
            "packages",
            ("" if needed else "for sweeps that read text: ") + ", ".join(wrong),
            "pip install -r requirements.txt",
        )
        for needed, wrong in found.items()
        if wrong
    ]
    return findings or [Finding("ok", "packages", f"{len(needs.packages)} fit this release")]


def check_disk(check: str, folder: str | Path, free: int, total: int) -> Finding:
    """Check that a disk has room."""
    found = f"{gib(free)} free of {gib(total)} at {folder}"
    if free < DISK_NEEDED:
        return Finding("failure", check, found, "nothing can be written; free some")
    advice = f"a sweep should have {gib(DISK_FREE)}, and Ray spills nothing to a disk more than {DISK_FULL:.0%} full"
    return _enough(free >= max(DISK_FREE, total * (1 - DISK_FULL)), check, found, advice)


def check_ray(address: str | None, session: Path) -> Finding:
    """Check that the cluster listens, or that a Ray of our own can have its session in a folder."""
    try:
        if address is None:
            check_folder(session)
        else:
            check_listens(address)
    except UserError as error:
        return Finding("failure", "ray", str(error))
    return Finding("ok", "ray", "Ray can start" if address is None else f"Ray listens at {address}")


def check_storage(storage: str) -> list[Finding]:
    """Check that this machine can write to a storage and has room for it."""
    try:
        check_writable(storage)
    except UserError as error:
        return [Finding("failure", "storage", str(error))]
    return [Finding("ok", "storage", f"{storage} can be written from here"), *check_room(storage)]


def check_room(storage: str) -> list[Finding]:
    """Check that a storage has room. Nothing is known of a remote one."""
    if is_remote(storage):
        return []
    folder = existing(root(storage))
    disk = shutil.disk_usage(folder)
    return [check_disk("storage", folder, disk.free, disk.total)]


def existing(folder: Path) -> Path:
    """Return the folder, or the nearest one above it that is there."""
    return next(parent for parent in (folder, *folder.parents) if parent.exists())


def check_tracking(uri: str, asks: bool, experiment: str | None = None) -> Finding:
    """Check that MLflow's address can be used from this machine, where the driver writes to it.

    With `asks`, a server must answer. An `experiment` that was deleted is a failure.
    """
    try:
        checked = check_tracking_uri(uri)
        if experiment and not checked.startswith("http"):
            check_experiment(checked, experiment)
    except UserError as error:
        return Finding("failure", "tracking", str(error))
    if not asks or not checked.startswith("http"):
        return Finding("ok", "tracking", "MLflow's address can be used from here")
    be_patient()
    try:
        with in_one_line(checked):
            client_of(checked).search_experiments(max_results=1)
        if experiment:
            check_experiment(checked, experiment)
    except UserError as error:
        return Finding("failure", "tracking", str(error))
    return Finding("ok", "tracking", "MLflow's server answers")


def installed(package: str) -> str | None:
    """Return the installed version of a package."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def code_hash() -> str:
    """Return a short hash of the sources of `fame` and `tuning` that this process imports."""
    import fame
    import tuning

    digest = hashlib.sha256()
    for package in (fame, tuning):
        folder = Path(package.__path__[0])
        for file in sorted([*folder.rglob("*.py"), *folder.rglob("*.yaml")]):
            digest.update(f"{package.__name__}/{file.relative_to(folder)}\0".encode() + file.read_bytes())
    return digest.hexdigest()[:12]


def gib(size: int) -> str:
    """Return bytes as text for a person."""
    return f"{size / 2**30:.1f} GiB"
