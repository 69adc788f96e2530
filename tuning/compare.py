"""Compare the best models of sweeps: `python tuning/compare.py EXPERIMENT-or-SWEEP [MORE …]`.

Everything is read from MLflow, so that it works on any tracking server and on sweeps of other people.
"""

from __future__ import annotations

import os
import sys

if __package__ in (None, ""):  # run as a file: its folder is on the path instead of the one above
    sys.path[0] = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
if __name__ == "__main__":  # before all other imports, which take seconds
    from fame.interrupts import end_at_once

    end_at_once()

import argparse
from pathlib import Path

from fame.command_line import CommandParser, typed
from fame.config.metrics import ACCURACY, split
from fame.errors import UserError, run_command
from tuning.plan.mlflow_defaults import TRACKING_HELP, default_tracking_uri


def main() -> None:
    args = parser().parse_args()
    if args.metric is not None:
        split(args.metric)
    # MLflow's bars would stand between the tables.
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    from rich.console import Console

    from tuning.comparison.sweeps import Store
    from tuning.comparison.view import Comparison
    from tuning.pages import write_page

    sweeps, notes = Store(args.tracking_uri).find(args.names)
    if not sweeps:
        raise UserError(f"nothing to show: {'; '.join(notes)}")
    notes += [
        f"{one.name}: its model was exported without ranks of users, so no test" for one in sweeps if one.ranks is None
    ]
    comparison = Comparison.of(sweeps, args.metric, args.against)
    notes += comparison.warnings()
    console = Console()
    for table in comparison.tables():
        table.print(console)
    for note in notes:
        console.print(note, highlight=False, soft_wrap=True)
    if args.html is not None:
        write_page(args.html, comparison.page(notes))
        console.print(f"page    {args.html}", highlight=False, soft_wrap=True)


def parser() -> argparse.ArgumentParser:
    parser = CommandParser(
        prog=typed(),
        description="Compare the best models of sweeps: settings, metrics, cost, and, user by user, which is better.",
    )
    parser.add_argument(
        "names",
        nargs="+",
        metavar="EXPERIMENT-or-SWEEP",
        help="name of a sweep, or of an MLflow experiment for all its sweeps",
    )
    parser.add_argument(
        "--tracking-uri",
        default=default_tracking_uri(),
        metavar="URI",
        help=TRACKING_HELP,
    )
    parser.add_argument(
        "--metric",
        metavar="KIND@K",
        help=f"metric to compare by: {', '.join(ACCURACY)} (default: the one that the sweeps searched by)",
    )
    parser.add_argument(
        "--against", metavar="SWEEP", help="test all others against this one alone (default: all pairs)"
    )
    parser.add_argument("--html", type=Path, metavar="FILE", help="also write a self-contained page")
    return parser


if __name__ == "__main__":
    run_command(main)
