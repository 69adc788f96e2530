"""A page's commands, run one after the other as a reader runs them, and the lines that the page shows."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from fame.errors import EXIT_USER_ERROR
from tests.tuning.mlflow_server import free_port

ROOT = Path(__file__).parent.parent
PATIENT = " --fail --silent --retry 120 --retry-connrefused --retry-delay 1"
"""Options of curl: the server takes seconds to start."""
PORT = "5001"
"""The served model's port on the page."""


def section(page: str, first: str, end: str) -> str:
    """Return a page of docs/ from a heading on to another one."""
    return (ROOT / "docs" / page).read_text(encoding="utf-8").partition(f"\n## {first}")[2].partition(f"\n## {end}")[0]


def blocks(text: str, language: str) -> list[str]:
    """Return the code blocks of a language; those without one are what is printed."""
    found = re.findall(r"^```(\w*)\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    return [block for name, block in found if name == language]


def copy_program(folder: Path) -> None:
    """Put a copy of the program where the reader stands."""
    for package in ("fame", "tuning"):
        shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", folder)  # says which versions a sweep needs


def follow(text: str, folder: Path) -> list[str]:
    """Run the commands of a text in a folder and return the lines that they print, also errors for people."""
    port = str(free_port())
    texts = [block.replace("\\\n", " ").replace(PORT, port) for block in blocks(text, "bash")]
    printed, served = "", None
    with tempfile.TemporaryDirectory(prefix="fr-", dir="/tmp") as ray:  # Ray's sockets need short paths
        environment = {**os.environ, "FAME_DATA": str(folder / "cache"), "RAY_TMPDIR": ray, "PYTHONPATH": ""}
        environment["PATH"] = f"{Path(sys.executable).parent}:{environment['PATH']}"
        environment["COLUMNS"] = "200"
        try:
            for line in [line for block in texts for line in block.splitlines()]:
                if line.startswith("export "):
                    key, _, value = line.removeprefix("export ").partition("=")
                    environment[key] = value
                elif line.endswith(" &"):
                    served = start(line.removesuffix(" &"), folder, environment)
                else:
                    printed += run(line + PATIENT * line.startswith("curl "), folder, environment)
        finally:
            if served is not None:
                os.killpg(served.pid, signal.SIGKILL)
                served.wait()
    return printed.replace(f"{folder}/", "").splitlines()


def not_printed(text: str, printed: list[str]) -> list[str]:
    """Return the lines that a text shows and that were not printed, numbers aside."""
    known = set(map(without_numbers, printed))
    shown = [line for block in blocks(text, "") for line in block.splitlines() if line]
    return [line for line in shown if without_numbers(line) not in known]


def start(command: str, folder: Path, environment: dict[str, str]) -> subprocess.Popen:
    with open(folder / "served.log", "wb") as log:
        return subprocess.Popen(
            shlex.split(command), cwd=folder, env=environment, stdout=log, stderr=log, start_new_session=True
        )


def run(command: str, folder: Path, environment: dict[str, str]) -> str:
    done = subprocess.run(
        shlex.split(command), cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    told = done.returncode == EXIT_USER_ERROR and done.stderr.splitlines()[-1].startswith("error: ")
    assert done.returncode == 0 or told, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout + (done.stderr if told else "")


def without_numbers(line: str) -> str:
    """A line of output without what differs between machines: numbers, names of trials, widths of columns."""
    return " ".join(re.sub(r"\b[0-9a-f]{8,16}\b|\d[\d.,]*", "N", line).split())
