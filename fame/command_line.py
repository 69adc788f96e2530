"""Command lines: the parser of every command, how a command was typed, and the line that starts one again."""

from __future__ import annotations

import argparse
import os
import re
import shlex
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from fame.errors import UserError, nearest

ROOT = Path(__file__).resolve().parent.parent
"""Folder that holds the packages."""


class CommandParser(argparse.ArgumentParser):
    """`argparse`, with usage errors as `UserError`."""

    def parse_args(self, args: Sequence[str] | None = None, namespace: Any = None) -> Any:  # type: ignore[override]
        found, left = self.parse_known_args(args, namespace)
        if left:
            raise UserError(self._about(left[0]))
        return found

    def error(self, message: str) -> NoReturn:
        """Called by argparse with its own words for every other mistake."""
        wrong = re.fullmatch(
            r"argument (?P<option>.+?): invalid choice: (?P<value>'.*'|\".*\") \(choose from (?P<choices>.*)\)", message
        )
        if wrong:
            option, value = wrong["option"].split("/")[-1], wrong["value"][1:-1]
            choices = [choice.strip().strip("'\"") for choice in wrong["choices"].split(",")]
            raise UserError(f"{option} {value}: {nearest(value, choices)}")
        kind_of = re.fullmatch(r"argument (?P<option>.+?): invalid (?P<kind>\w+) value: (?P<value>.*)", message)
        if kind_of:
            kind = {"int": "a whole number", "float": "a number"}.get(kind_of["kind"], f"of type {kind_of['kind']}")
            raise UserError(f"{kind_of['option'].split('/')[-1]} {kind_of['value']}: must be {kind}")
        message = message.removeprefix("argument ")
        raise UserError(f"{' '.join(message.split())}; {self.prog} --help lists the options")

    def _about(self, text: str) -> str:
        """The line about an argument that nobody takes."""
        option = text.partition("=")[0]
        if not option.startswith("-"):
            return f"unexpected argument {text!r}; {self.prog} --help lists the options"
        known = [name for action in self._actions for name in action.option_strings if name.startswith("--")]
        near = nearest(option, known)
        hint = (
            near.partition(" (known")[0] if near.startswith("did you mean") else f"{self.prog} --help lists the options"
        )
        return f"unknown option {option}: {hint}"


class Removed(argparse.Action):
    """An option of an earlier version. `const` says what to do in its place."""

    def __call__(self, parser: argparse.ArgumentParser, namespace: Any, values: Any, option: str | None = None) -> None:
        raise UserError(f"{option} {values}: there is no such option any more; {self.const}")


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
    path = getattr(main, "__file__", None)  # a notebook has none
    file = Path(path) if main.__spec__ is None and path is not None else None
    if file is not None and file.suffix != ".py":
        words = [_program(file), command]
    elif file is not None and file == ROOT.joinpath(*module.split(".")).with_suffix(".py"):
        words = [_program(Path(sys.executable)), _near(file)]
    else:
        words = [_program(Path(sys.executable)), "-m", module]
        if file is not None and Path.cwd() != ROOT:  # only the file's own folder led to the packages
            words = ["env", f"PYTHONPATH={ROOT}", *words]
    return shlex.join([*words, *arguments])


def search_path(program: str) -> str | None:
    """Return the shell's assignment of PATH with which it finds a program of this Python's environment.

    None where it does so without it, or the environment has no such program.
    """
    path = Path(sys.executable).absolute().parent / program
    found = shutil.which(program)
    if not path.exists() or (found is not None and Path(found).absolute() == path):
        return None
    return f'PATH={shlex.quote(str(path.parent))}:"$PATH"'


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
