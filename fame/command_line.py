"""How a command of this program was typed, and the line that starts one again."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
"""Folder that holds the packages."""


def typed() -> str:
    """Return the command as it was typed: `fame train`, `python -m fame.train` or `python tuning/sweep.py`."""
    spec = sys.modules["__main__"].__spec__
    name = sys.argv[0]
    if spec is not None and name == spec.origin:
        return f"python -m {spec.name.removesuffix('.__main__')}"
    return f"python {name}" if name.endswith(".py") else Path(name).name


def line(command: str, module: str, *arguments: str) -> str:
    """Return a shell line that starts a command from this folder, also without an activated environment.

    `command` is its name after `fame`, and `module` its module after `python -m`. A process that started as
    `fame` answers with `fame`, any other one with its own Python.
    """
    main = sys.modules["__main__"]
    file = Path(main.__file__) if main.__spec__ is None and main.__file__ is not None else None
    if file is not None and file.suffix != ".py":
        words = [_program(file), command]
    elif file is not None and file == ROOT.joinpath(*module.split(".")).with_suffix(".py"):
        words = [_program(Path(sys.executable)), _near(file)]
    else:
        words = [_program(Path(sys.executable)), "-m", module]
        if file is not None and Path.cwd() != ROOT:  # only the file's own folder led to the packages
            words = ["env", f"PYTHONPATH={ROOT}", *words]
    return shlex.join([*words, *arguments])


def _program(path: Path) -> str:
    """Return the bare name of a program if the shell finds this one by it, else its path."""
    found = shutil.which(path.name)
    return path.name if found is not None and Path(found).absolute() == path.absolute() else _near(path)


def _near(path: Path) -> str:
    """Return a path as seen from this folder if it lies below, else the absolute path."""
    path, here = path.absolute(), Path.cwd()
    if not path.is_relative_to(here):
        return str(path)
    near = str(path.relative_to(here))
    return near if os.sep in near else f".{os.sep}{near}"
