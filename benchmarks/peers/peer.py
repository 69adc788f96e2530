"""The common part of scripts that time another library in its environment: standard library, numpy and torch alone.

The data lie in a folder: `values.npy` (int32 [P], items 1..V) and `offsets.npy` (int64 [U+1]); the history of user u is
values[offsets[u]:offsets[u+1]], oldest first. A script's last line of output is its result as JSON.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

MIN_ITEMS = 3
"""Fewest items of a user: one to learn from, one for validation, one for the test."""


def options(about: str | None, batch_size: int, batch: str) -> argparse.ArgumentParser:
    """Return the parser of a script with the options that all have; `batch` says what `batch_size` counts."""
    parser = argparse.ArgumentParser(description=(about or "").partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with values.npy and offsets.npy")
    parser.add_argument("--threads", type=positive, default=1, help="threads of PyTorch (default: %(default)s)")
    parser.add_argument("--dim", type=positive, default=64, help="width (default: %(default)s)")
    parser.add_argument("--layers", type=positive, default=2, help="transformer layers (default: %(default)s)")
    parser.add_argument("--heads", type=positive, default=2, help="attention heads (default: %(default)s)")
    parser.add_argument("--max-length", type=positive, default=50, help="items of a history (default: %(default)s)")
    parser.add_argument(
        "--batch-size", type=positive, default=batch_size, help=f"{batch} of a step (default: %(default)s)"
    )
    parser.add_argument(
        "--train-steps", type=natural, default=0, help="random steps to time; 0: the whole epoch (default)"
    )
    return parser


def read_options(parser: argparse.ArgumentParser) -> argparse.Namespace:
    args = parser.parse_args()
    if args.dim % args.heads:
        parser.error(f"--dim {args.dim} must be a multiple of --heads {args.heads}")
    return args


def natural(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 0")
    return int(text)


def positive(text: str) -> int:
    if natural(text) == 0:
        raise argparse.ArgumentTypeError("must be at least 1")
    return int(text)


def read_sequences(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Items of all users, and where each user's begin and end."""
    try:
        values, offsets = (np.load(folder / f"{name}.npy") for name in ("values", "offsets"))
    except (OSError, ValueError) as error:
        sys.exit(f"cannot read values.npy and offsets.npy in {folder}: {error}")
    if values.ndim != 1 or offsets.ndim != 1 or len(offsets) < 2 or offsets[0] != 0 or offsets[-1] != len(values):
        sys.exit(f"{folder}: offsets.npy must go from 0 to the length of values.npy, both of one dimension")
    if np.diff(offsets).min() < MIN_ITEMS:
        sys.exit(f"{folder}: every user needs at least {MIN_ITEMS} items")
    if values.min() < 1:
        sys.exit(f"{folder}: items are numbered from 1, but values.npy has a {values.min()}")
    return values, offsets


def about(args: argparse.Namespace, versions: dict[str, str]) -> dict[str, Any]:
    """Return the part of a result that says how it was made."""
    return {
        "settings": {k: v for k, v in vars(args).items() if k != "data"},
        "versions": {"python": platform.python_version(), "numpy": np.__version__, **versions},
        "cpus": len(os.sched_getaffinity(0)),
        "machine": platform.machine(),
    }


def measure(work: Callable[[], Any]) -> tuple[Any, float, float]:
    """Return the result of `work`, its seconds, and its CPU seconds (on one thread, fewer mean a busy machine)."""
    began, began_cpu = time.perf_counter(), time.process_time()
    result = work()
    return result, time.perf_counter() - began, time.process_time() - began_cpu


def meter(callback: type, steps: list[tuple[float, float]]) -> Any:
    """Return a callback of Lightning that notes the seconds and CPU seconds of each step; `callback` is its base class.

    It has no list of its own: RecTools trains with a copy of it.
    """

    class Meter(callback):  # type: ignore[misc]
        def on_train_batch_start(self, *_: Any) -> None:
            self.began = time.perf_counter(), time.process_time()

        def on_train_batch_end(self, *_: Any) -> None:
            steps.append((time.perf_counter() - self.began[0], time.process_time() - self.began[1]))

    return Meter()


SILENT = dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False)
"""Options of Lightning's trainer that leave out all that is no training."""


def epoch_of(steps: list[tuple[float, float]], count: int) -> tuple[float, float]:
    """Return seconds and CPU seconds of an epoch of `count` steps. The first step pays for allocations and does not count."""
    seconds, cpu_seconds = (sum(values) / len(steps[1:]) for values in zip(*steps[1:], strict=True))
    return seconds * count, cpu_seconds * count


def padded_epoch(
    name: str,
    args: argparse.Namespace,
    offsets: np.ndarray,
    versions: dict[str, str],
    time_steps: Callable[[int, bool], list[tuple[float, float]]],
) -> dict[str, Any]:
    """Return the result of a library that pads every history to `--max-length`, also in its loss.

    `time_steps(steps, padded)` trains some steps of random batches and one before them, and returns the seconds and CPU
    seconds of each. Without `padded` its loss leaves the padding out: what the library could take.
    """
    users = len(offsets) - 1
    count = -(-users // args.batch_size)
    steps = min(args.train_steps, count - 1) or count - 1
    seconds, cpu_seconds = epoch_of(time_steps(steps, True), count)
    _, unpadded = epoch_of(time_steps(steps, False), count)
    targets = np.minimum(np.diff(offsets) - 3, args.max_length).sum()
    return {
        "benchmark": name,
        "users": users,
        "train_steps_timed": steps,
        "train_seconds_per_epoch": round(seconds, 2),
        "train_cpu_seconds_per_epoch": round(cpu_seconds, 2),
        "unpadded_cpu_seconds_per_epoch": round(unpadded, 2),
        "padding": 1 - float(targets) / (users * args.max_length),
        **about(args, versions),
    }
