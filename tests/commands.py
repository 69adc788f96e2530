"""Commands of the program, run in this process as `python -m …` would run them."""

from __future__ import annotations

import contextlib
import io
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from fame.config.tree import write_yaml
from fame.errors import run_command

TINY: dict[str, Any] = {
    "data": {"name": "synthetic", "size": {"users": 40, "items": 30, "length": 8}, "max_length": 8},
    "model": {"dim": 8, "heads": 2, "experts": 2, "blocks": 1, "inner": 2, "dropout": 0.1},
    "train": {"epochs": 3, "batch_size": 16, "lr": 0.01, "precision": "float32"},
}
"""An experiment that trains in a moment."""


@dataclass(frozen=True, kw_only=True)
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str


def call(main: Callable[[], int | None], *args: object) -> Done:
    """Run a command's `main` with these arguments."""
    out, err = io.StringIO(), io.StringIO()
    with (
        mock.patch.object(sys, "argv", ["command", *map(str, args)]),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        pytest.raises(SystemExit) as left,
    ):
        run_command(main)
    return Done(code=left.value.code, out=out.getvalue(), err=err.getvalue())


def write_config(path: Path, **sections: Any) -> Path:
    """`TINY` as a YAML file; each keyword is a section whose keys replace the ones there."""
    tree = {**TINY}
    for name, values in sections.items():
        tree[name] = {**tree.get(name, {}), **values} if isinstance(values, dict) else values
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(write_yaml(tree), encoding="utf-8")
    return path


def write_lines(path: Path, *lines: str) -> Path:
    """A text file of these lines."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    return path
