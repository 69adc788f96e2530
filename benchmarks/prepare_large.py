"""Time and memory of preparing 200 million interactions: `python -m benchmarks.prepare_large`.

Makes a folder of Parquet files, a folder a day (`benchmarks.generated_folder`), prepares it with `python -m fame.datasets` in a
process of its own, and removes it: at 2, 20 and 200 million rows. A billion rows are on paper, from the last two sizes.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from benchmarks.generated_folder import generate
from benchmarks.harness import Row, add_tiny, publish
from benchmarks.prepare_ml20m import REPOSITORY

SIZES = (2_000_000, 20_000_000, 200_000_000)
TINY_SIZES = (1_000, 4_000)
PAPER = 1_000_000_000


class Measured(NamedTuple):
    """The time and memory of the preparation of so many rows."""

    rows: int
    seconds: float
    cpu_seconds: float
    gib: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", type=int, nargs="+", default=SIZES, help="sizes, rising (default: %(default)s)")
    parser.add_argument("--folder", type=Path, help="where the data lie meanwhile: 40 bytes a row (default: temporary)")
    add_tiny(parser)
    args = parser.parse_args()
    sizes = TINY_SIZES if args.tiny else args.rows
    found = [measure(size, args.folder) for size in sizes]
    rows = []
    for one in found:
        large = one.rows >= SIZES[-1]
        rows += [
            Row(what=f"{one.rows:,} interactions", value=one.seconds, unit="s"),
            Row(
                what=f"{one.rows:,} interactions, CPU time a million", value=one.cpu_seconds / one.rows * 1e6, unit="s"
            ),
            Row(
                what=f"{one.rows:,} interactions, peak memory", value=one.gib, unit="GiB", at_most=6 if large else None
            ),
        ]
    if len(found) > 1:
        before, last = found[-2:]
        growth = (last.cpu_seconds / before.cpu_seconds) / (last.rows / before.rows)
        rows += [
            Row(what="CPU time a row, the last size ÷ the one before", value=growth, at_most=1.2),
            Row(
                what=f"{PAPER:,} interactions on paper, CPU time", value=on_paper(before, last, "cpu_seconds"), unit="s"
            ),
            Row(what=f"{PAPER:,} interactions on paper, peak memory", value=on_paper(before, last, "gib"), unit="GiB"),
        ]
    publish("prepare_large", rows, {"rows": list(sizes)}, args.tiny)


def measure(rows: int, parent: Path | None) -> Measured:
    """Make a folder of so many interactions, prepare it, and remove it."""
    with tempfile.TemporaryDirectory(prefix="fame-large-", dir=parent) as folder:
        data = Path(folder, "data")
        generate(data, rows)
        print(f"{rows:,} rows in {sum(1 for _ in data.rglob('*.parquet'))} files are made", file=sys.stderr, flush=True)
        began = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, "-m", "fame.datasets", "--data", str(data)],
            cwd=REPOSITORY,
            env={**os.environ, "FAME_DATA": folder + "/cache"},
            stdout=subprocess.DEVNULL,
        )
        _, status, used = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(process.returncode)
    found = Measured(rows, seconds, used.ru_utime + used.ru_stime, used.ru_maxrss / 2**20)
    print(
        f"prepared in {seconds:.0f} s, {found.cpu_seconds:.0f} CPU seconds, {found.gib:.2f} GiB",
        file=sys.stderr,
        flush=True,
    )
    return found


def on_paper(before: Measured, last: Measured, figure: str) -> float:
    """A figure of a billion rows, on the line through the last two sizes."""
    low, high = getattr(before, figure), getattr(last, figure)
    return high + (high - low) / (last.rows - before.rows) * (PAPER - last.rows)


if __name__ == "__main__":
    main()
