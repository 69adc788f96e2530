"""Where a result comes from: command, commit, versions, hardware, date.

Benchmarks, exported models and the runs of a sweep carry these tags, so that a number can be traced
to what produced it. Nothing here fails: what cannot be found out is left out.
"""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import shlex
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

PACKAGES = ("torch", "numpy", "transformers", "ray", "optuna", "mlflow")
"""Packages whose version decides a result; only those installed are named."""


SECRET_QUERY = re.compile(
    r"([?&][^=&\s]*(?:key|secret|token|passw|pwd|credential|signature|\bsig|\bsas)[^=&\s]*=)[^&\s#'\"]+", re.IGNORECASE
)
"""A parameter of an address whose name says that its value is secret."""


def mask_credentials(text: str) -> str:
    """`text` with ``***`` for the ``user:password`` of every address in it, and for secrets among its parameters."""
    return SECRET_QUERY.sub(r"\1***", re.sub(r"(?<=://)[^/\s]*@", "***@", text))


def has_credentials(address: str) -> bool:
    """Whether an address holds a password, or a secret among its parameters."""
    return bool(re.search(r"://[^/\s@]*:[^/\s]*@", address) or SECRET_QUERY.search(address))


def provenance() -> dict[str, str]:
    """Everything below in one flat dictionary of texts, for tags and result files."""
    return {
        "command": command_line(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        **git_commit(),
        **versions(),
        **hardware(),
    }


def command_line() -> str:
    """The command of this process, to paste into a shell, without passwords and the folders of this machine."""
    interpreter, *arguments = sys.orig_argv
    return mask_credentials(shlex.join([Path(interpreter).name, *map(_without_folders, arguments)]))


def _without_folders(argument: str) -> str:
    """An argument, or the value of `--option=value`, as seen from the working directory; of others the last name."""
    option, mark, value = argument.rpartition("=") if argument.startswith("-") else ("", "", argument)
    path = Path(value)
    if not path.is_absolute():
        return argument
    near = path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path.name
    return f"{option}{mark}{near}"


def git_commit() -> dict[str, str]:
    """``commit`` and ``dirty`` (true or false) of this source tree; empty outside a repository."""
    here = Path(__file__)
    # A package installed below somebody else's repository must not report their commit.
    if _git("ls-files", "--error-unmatch", here.name) is None:
        return {}
    commit, changes = _git("rev-parse", "HEAD"), _git("status", "--porcelain")
    if commit is None or changes is None:
        return {}
    return {"commit": commit, "dirty": "true" if changes else "false"}


def versions() -> dict[str, str]:
    """Versions of Python and of the installed `PACKAGES`."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def hardware() -> dict[str, str]:
    """``cpu``, ``cpus`` (those this process may use), and ``gpus`` (names, or none) of this machine."""
    import torch

    gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {"cpu": _cpu_model(), "cpus": str(cpus), "gpus": ", ".join(gpus) or "none"}


def _cpu_model() -> str:
    try:
        match = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    except OSError:  # not Linux
        match = None
    return match.group(1) if match else platform.processor() or platform.machine()


def _git(*arguments: str) -> str | None:
    """Output of a git command in this source tree; None where git or a repository is missing."""
    try:
        done = subprocess.run(
            ["git", *arguments], cwd=Path(__file__).parent, capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
