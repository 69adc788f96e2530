"""The common part of all benchmarks: timing things side by side, and a result as a table and a JSON file.

The machines are noisy, so no number stands alone: whatever is compared runs in turns within one
process, and the medians are divided.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import multiprocessing
import re
import resource
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fame.runtime.provenance import provenance

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True, kw_only=True)
class Row:
    """One measured figure and, where there is one, its target."""

    what: str
    value: float
    unit: str = ""
    """Empty for a ratio."""
    at_least: float | None = None
    at_most: float | None = None

    @property
    def reached(self) -> bool | None:
        """Whether the target is met; None without one."""
        if self.at_least is not None:
            return self.value >= self.at_least
        return None if self.at_most is None else self.value <= self.at_most

    def cells(self) -> tuple[str, str, str, str]:
        """Return name, value, target, and whether it is reached, as text."""
        target = f"≥ {self.at_least:g}" if self.at_least is not None else ""
        target = f"≤ {self.at_most:g}" if self.at_most is not None else target
        reached = {True: "yes", False: "NO", None: ""}[self.reached]
        return self.what, f"{self.value:,.4g} {self.unit}".strip(), target, reached


def add_tiny(parser: argparse.ArgumentParser) -> None:
    """Add the option with which a benchmark only shows that it runs."""
    parser.add_argument("--tiny", action="store_true", help="a size that only shows that it runs; keeps no result")


def in_turns(actions: Mapping[str, Callable[[], object]], rounds: int = 5, warmup: int = 1) -> dict[str, float]:
    """Median seconds of each action; they take turns, `rounds` times after `warmup` rounds that do not count."""
    seconds: dict[str, list[float]] = {name: [] for name in actions}
    for turn in range(warmup + rounds):
        for name, action in actions.items():
            began = time.perf_counter()
            action()
            if turn >= warmup:
                seconds[name].append(time.perf_counter() - began)
    return {name: statistics.median(values) for name, values in seconds.items()}


def peak_memory() -> int:
    """Most memory (bytes resident) that this process has ever held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def in_own_process(work: Callable[..., Any], *args: Any) -> Any:
    """`work(*args)` in a new process: the peak of a process's memory never falls."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(work, args)


def publish(name: str, rows: list[Row], settings: Mapping[str, Any], tiny: bool = False) -> None:
    """Print the table and write `benchmarks/results/NAME.json` with where it comes from. A tiny run is no result."""
    if tiny:
        print(table([dataclasses.replace(row, at_least=None, at_most=None) for row in rows]), flush=True)
        return
    result = {
        "benchmark": name,
        "rows": [dataclasses.asdict(row) | {"reached": row.reached} for row in rows],
        "settings": dict(settings),
        **origin(),
    }
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(table(rows), flush=True)


def origin() -> dict[str, Any]:
    """Where a result of this process comes from (`fame.runtime.provenance`), without the machine's folders."""
    found = provenance()
    return found | {"command": without_folders(found["command"])}


def without_folders(command: str) -> str:
    """A command without the folders of the machine that ran it; relative paths and addresses stay."""
    return re.sub(r"(?:(?<=sqlite:///)|(?<=[\s='\"]))/\S*/", "…/", command)


def table(rows: list[Row]) -> str:
    """Rows as aligned text."""
    cells = [("", "measured", "target", "reached"), *(row.cells() for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(4)]
    lines = [
        "  ".join(
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in cells
    ]
    return "\n".join(lines)
