"""Asks other libraries, each in its own environment, what an epoch of their SASRec costs."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from fame.datasets.sequences import Sequences

ROOT = Path(__file__).parents[2]
LIBRARIES = {"rectools": "RecTools", "replay": "RePlay", "recbole": "RecBole"}
"""Libraries by the name of their option and of their script, `NAME_epoch.py`, which says how to make the environment."""


def add_options(parser: argparse.ArgumentParser) -> None:
    for name, library in LIBRARIES.items():
        parser.add_argument(f"--{name}", type=Path, metavar="PYTHON", help=f"interpreter of {library}'s environment")
    parser.add_argument("--steps", type=int, default=6, help="steps of each to time (default: %(default)s)")


def asked(args: argparse.Namespace) -> dict[str, Path]:
    """Return the interpreters that the options name, by the library."""
    return {name: python for name in LIBRARIES if (python := getattr(args, name)) is not None}


def ask_all(pythons: dict[str, Path], sequences: Sequences, steps: int) -> dict[str, dict[str, Any]]:
    """Return what each library says of its epoch on one thread."""
    with tempfile.TemporaryDirectory() as folder:
        write(sequences, Path(folder))
        return {name: ask(name, python, Path(folder), 1, steps) for name, python in pythons.items()}


def ask(name: str, python: Path, folder: Path, threads: int, steps: int, *options: str) -> dict[str, Any]:
    """Return the result of a library's script on the data in `folder` (`write`)."""
    command = [str(python), "-W", "ignore", "-m", f"benchmarks.peers.{name}_epoch", "--data", str(folder)]
    command += ["--threads", str(threads), "--train-steps", str(steps), *options]
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    environment.pop("PYTHONPATH", None)  # an environment of its own
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        sys.exit(f"{LIBRARIES[name]} failed:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def write(sequences: Sequences, folder: Path) -> None:
    """Write the data as the scripts read them."""
    np.save(folder / "values.npy", sequences.values)
    np.save(folder / "offsets.npy", sequences.offsets)
