"""Time and memory of preparing 20 million ratings: `python -m benchmarks.prepare_ml20m`.

Generates a ratings.csv of ml-20m's size and shape in a temporary folder and prepares it with
`python -m fame.datasets ml-20m` in a process of its own.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.harness import Row, add_tiny, publish

ROWS, USERS, ITEMS = 20_000_263, 138_493, 26_744
TINY_ROWS = 4_000
REPOSITORY = Path(__file__).resolve().parent.parent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", type=int, default=ROWS, help=f"ratings to generate (default: {ROWS:,})")
    parser.add_argument("--recipe", default="5-core", help="recipe of ml-20m to run (default: 5-core)")
    add_tiny(parser)
    args = parser.parse_args()
    if args.tiny:
        args.rows = TINY_ROWS
    with tempfile.TemporaryDirectory(prefix="fame-ml20m-") as folder:
        file = Path(folder, "data", "ml-20m", "ratings.csv")
        file.parent.mkdir(parents=True)
        generate(file, args.rows)
        command = [sys.executable, "-m", "fame.datasets", "ml-20m", "--data-dir", str(file.parent)]
        command += ["--set", f"data.recipe={args.recipe}"]
        began = time.perf_counter()
        done = subprocess.run(
            command,
            check=False,
            cwd=REPOSITORY,
            env={**os.environ, "FAME_DATA": folder + "/cache"},
            capture_output=True,
            text=True,
        )
        seconds = time.perf_counter() - began
        if done.returncode:
            sys.exit(done.stderr)
        # of all children, and this is the only one
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    rows = [
        Row(what=f"preparing {args.rows:,} ratings", value=seconds, unit="s", at_most=180),
        Row(what="peak memory", value=peak / 2**20, unit="GiB", at_most=4),
    ]
    publish("prepare_ml20m", rows, {"rows": args.rows, "recipe": args.recipe}, args.tiny)


def generate(file: Path, rows: int) -> None:
    """Ratings, users together, items popular by a power law, at least 20 ratings per user, random times."""
    from pyarrow import csv, table

    random = np.random.default_rng(0)
    users = max(1, min(USERS, rows // 20))
    weights = random.lognormal(sigma=1.2, size=users)
    extra = (
        random.multinomial(rows - 20 * users, weights / weights.sum()) if rows > 20 * users else np.zeros(users, int)
    )
    lengths = np.minimum(20, rows // users) + extra
    popularity = np.cumsum(1 / np.arange(1, ITEMS + 1) ** 0.9)
    ids = np.sort(random.choice(131_262, ITEMS, replace=False)) + 1
    names = ("userId", "movieId", "rating", "timestamp")
    with csv.CSVWriter(file, table({name: np.zeros(0, int) for name in names}).schema) as out:
        for part in np.array_split(np.arange(users), max(1, rows // 1_000_000)):
            user = np.repeat(part, lengths[part])
            item = ids[np.searchsorted(popularity, random.random(len(user)) * popularity[-1]).clip(max=ITEMS - 1)]
            rating = random.integers(1, 6, len(user))
            when = random.integers(789_652_009, 1_427_784_002, len(user))
            out.write(table({"userId": user + 1, "movieId": item, "rating": rating, "timestamp": when}))


if __name__ == "__main__":
    main()
