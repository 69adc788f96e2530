"""The report of a sweep, running or ended: `python -m tuning.report NAME`."""

from __future__ import annotations

import argparse
from pathlib import Path

from fame.command_line import CommandParser, typed
from fame.errors import run_command
from tuning.plan.options import DEFAULTS
from tuning.storage.layout import shown


def main() -> None:
    args = parser().parse_args()
    from tuning.library.sweep import open_sweep  # here, so that --help need not wait
    from tuning.report.lean import import_plots

    import_plots()
    print(f"report  {shown(open_sweep(args.name, args.storage).report(args.output).path)}")


def parser() -> argparse.ArgumentParser:
    parser = CommandParser(prog=typed(), description=__doc__)
    parser.add_argument("name", metavar="NAME", help="the sweep")
    parser.add_argument(
        "--storage",
        default=DEFAULTS.storage,
        metavar="PATH-or-URI",
        help=f"where it is kept (default: {DEFAULTS.storage})",
    )
    parser.add_argument("--output", type=Path, metavar="FILE", help="the page (default: report.html in its folder)")
    return parser


if __name__ == "__main__":
    run_command(main)
