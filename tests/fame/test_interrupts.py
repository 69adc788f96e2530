"""Ctrl-C before a command has begun: one line and exit code 130, wherever the import is."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from fame.errors import EXIT_INTERRUPTED
from tuning.command import COMMANDS

ROOT = Path(__file__).parents[2]
HALF_A_MODULE = """
import os, signal
try:
    os.kill(os.getpid(), signal.SIGINT)
except BaseException:
    pass
raise AttributeError("module has no attribute intp")
"""
"""A module during whose import Ctrl-C comes, and that turns it into another error, as numpy once did."""
RUN_AS_FILES = [[str(ROOT / "tuning" / "sweep.py"), "--dry-run"], [str(ROOT / "tuning" / "compare.py"), "x"]]


def interrupted(command: list[str], module: str, folder: Path) -> subprocess.CompletedProcess:
    """Run a command, and press Ctrl-C while it imports a module."""
    (folder / f"{module}.py").write_text(HALF_A_MODULE)
    return subprocess.run(
        [sys.executable, *command],
        env={**os.environ, "PYTHONPATH": f"{folder}{os.pathsep}{ROOT}", "FAME_DATA": str(folder / "cache")},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    "command",
    [*RUN_AS_FILES, *(["-m", command.module.removesuffix(".__main__")] for command in COMMANDS.values())],
    ids=lambda words: Path(words[-2 if words[0] != "-m" else 1]).name,
)
def test_while_a_command_imports_its_first_modules(command, tmp_path):
    done = interrupted(command, "shlex", tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (EXIT_INTERRUPTED, "", "interrupted\n")


@pytest.mark.parametrize("module", ["numpy", "yaml", "torch"])
def test_while_a_command_imports_what_it_needs_later(module, tmp_path):
    done = interrupted(RUN_AS_FILES[0], module, tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (EXIT_INTERRUPTED, "", "interrupted\n")


def test_the_installed_program(tmp_path):
    program = tmp_path / "fame"
    program.write_text("import sys\nfrom tuning.command import run\nsys.exit(run())\n")
    done = interrupted([str(program), "sweep", "--dry-run"], "argparse", tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (EXIT_INTERRUPTED, "", "interrupted\n")
