"""All benchmarks of a kind, one after the other, and one table: `python -m benchmarks [cpu|gpu]`.

Each runs in a process of its own and leaves `benchmarks/results/NAME.json`. The GPU set needs torch alone.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.harness import RESULTS, Row, add_tiny, table

BEAUTY = ("training", "evaluation")
"""Benchmarks that take Beauty from a folder if they are told one."""
SETS: dict[str, dict[str, tuple[str, ...]]] = {
    "cpu": {
        "training": (),
        "evaluation": (),
        "loss_memory": (),
        "large_catalogue": (),
        "sharded_table": (),
        "serving": (),
        "scaling": (),
        "prepare_ml20m": (),
        "epoch_memory": (),
        "trial_start": (),
        "sweep_efficiency": ("--quick",),
    },
    "gpu": {"gpu": ()},
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__.partition("\n")[0])
    parser.add_argument("set", nargs="?", default="cpu", choices=list(SETS), help="which (default: %(default)s)")
    parser.add_argument(
        "--data-dir", type=Path, help="folder with the prepared Beauty (default: random data of its size)"
    )
    add_tiny(parser)
    args = parser.parse_args()
    failed, rows = [], []
    for name, options in SETS[args.set].items():
        more = ("--data-dir", str(args.data_dir)) if args.data_dir and name in BEAUTY else ()
        more += ("--tiny",) if args.tiny else ()
        began = time.perf_counter()
        print(f"\n{name}", flush=True)
        done = subprocess.run(
            [sys.executable, "-m", f"benchmarks.{name}", *options, *more],
            env={"OMP_NUM_THREADS": "1", **os.environ},
            check=False,
        )
        print(f"({time.perf_counter() - began:.0f} s)", flush=True)
        if done.returncode:
            failed.append(name)
        elif not args.tiny:
            rows += targets(name)
    if rows:
        print(f"\n{table(rows)}")
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


def targets(name: str) -> list[Row]:
    """Rows of a result that have a target."""
    result = json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))
    rows = [Row(**{key: value for key, value in row.items() if key != "reached"}) for row in result["rows"]]
    return [row for row in rows if row.reached is not None]


if __name__ == "__main__":
    sys.exit(main())
