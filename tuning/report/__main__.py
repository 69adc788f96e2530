"""The report of a sweep, running or ended: `python -m tuning.report NAME`."""

from __future__ import annotations

import argparse
from pathlib import Path

from fame.command_line import CommandParser
from fame.errors import UserError, nearest, run_command
from tuning.plan.options import DEFAULTS, Options
from tuning.storage.layout import RECORD, Storage, is_remote, root, shown


def main() -> None:
    args = _parser().parse_args()
    storage = Storage.of(args.storage, args.name)
    if not storage.exists:
        known = [] if is_remote(args.storage) else [path.parent.name for path in root(args.storage).glob(f"*/{RECORD}")]
        hint = nearest(args.name, known) if known else "see --storage"
        raise UserError(f"no sweep '{args.name}' at {shown(storage.shared)}: {hint}")
    import optuna  # here, so that --help need not wait

    from tuning.plan.sweep_plan import plan_from_record
    from tuning.report.page import statistics_of, write_report
    from tuning.study import mirror
    from tuning.study.reading import open_read_only

    plan = plan_from_record(storage.read_record(), Options(name=args.name, storage=args.storage), {})
    mirror.fetch(storage)
    try:
        study = optuna.load_study(study_name=args.name, storage=open_read_only(storage.study))
    except (FileNotFoundError, KeyError):
        raise UserError(f"sweep '{args.name}' has no study at {shown(storage.study)}: it has not begun yet") from None
    print(f"report  {shown(write_report(plan, storage, study, statistics_of(storage), args.output))}")


def _parser() -> argparse.ArgumentParser:
    parser = CommandParser(prog="python -m tuning.report", description=__doc__)
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
