"""Scores of our models and of RecBole's, with the same weights: `python -m benchmarks.parity --python VENV/bin/python`."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch

from benchmarks.harness import Row, publish
from benchmarks.parity import CASES, DIM, HISTORIES, ITEMS, LENGTH
from benchmarks.parity.weights import copied
from fame.config.tree import experiment_from_dict
from fame.models.base import SequentialModel
from fame.registry import models

ROOT = Path(__file__).parents[2]
TOLERANCE = 1e-5


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.parity", description=__doc__.partition(":")[0])
    parser.add_argument("--python", type=Path, required=True, help="interpreter of RecBole's environment")
    args = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        ask_recbole(args.python, Path(folder))
        for name in CASES:
            with np.load(Path(folder) / f"{name}.npz") as file:
                rows += compare(name, dict(file))
    publish(
        "parity", rows, {"histories": HISTORIES, "items": ITEMS, "max_length": LENGTH, "dim": DIM, "recbole": "1.2.1"}
    )
    return 0 if all(row.reached is not False for row in rows) else 1


def ask_recbole(python: Path, folder: Path) -> None:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    environment.pop("PYTHONPATH", None)  # an environment of its own
    command = [str(python), "-W", "ignore", "-m", "benchmarks.parity.recbole_scores", str(folder)]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"RecBole failed:\n{done.stderr[-2000:]}")


def compare(name: str, found: dict[str, np.ndarray]) -> list[Row]:
    """The largest difference of any score in float64, and in float32 as a share of the largest score."""
    weights = {key.removeprefix("weight."): torch.from_numpy(found[key]) for key in found if key.startswith("weight.")}
    model = ours(name, copied(name, weights))
    items, lengths, exact, rounded = (
        torch.from_numpy(found[key]) for key in ("items", "lengths", "scores64", "scores32")
    )
    largest = float(exact.abs().max())
    difference = largest_difference(model, items, lengths, exact)
    share = largest_difference(model.float(), items, lengths, rounded) / largest
    return [
        Row(what=f"{name}: largest score", value=largest),
        Row(what=f"{name}: largest difference, float64", value=difference, at_most=TOLERANCE),
        Row(what=f"{name}: largest difference ÷ largest score, float32", value=share, at_most=TOLERANCE),
    ]


@torch.no_grad()
def largest_difference(
    model: SequentialModel, items_BT: torch.Tensor, lengths_B: torch.Tensor, expected_BV: torch.Tensor
) -> float:
    scores_BV = model.scorer().scores(model.encode(items_BT, lengths_B))
    return float((scores_BV - expected_BV).abs().max())


def ours(name: str, weights: dict[str, torch.Tensor]) -> SequentialModel:
    """Our model with these weights, in float64. A weight that is missing or left over is an error."""
    config = experiment_from_dict({"model": CASES[name].model}).model
    # A mask follows the longest history, which is one item shorter than the longest row.
    length = LENGTH - 1 if name == "bert4rec" else LENGTH
    model = models.get(config.name)(config, ITEMS, length).double().eval()
    model.load_state_dict(weights)
    return model


if __name__ == "__main__":
    sys.exit(main())
