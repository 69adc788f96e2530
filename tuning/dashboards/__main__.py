"""Look at a sweep, running or ended: `python -m tuning.dashboards [--name NAME]`, until Ctrl-C."""

from __future__ import annotations

import argparse
import threading

from fame.command_line import CommandParser, typed
from fame.errors import UserError, run_command
from tuning.dashboards.serving import dashboards
from tuning.plan.options import DEFAULTS
from tuning.storage.layout import Storage, newest, shown
from tuning.study.aims import aims_of
from tuning.tracking.addresses import check_tracking_uri
from tuning.tracking.links import Place
from tuning.tracking.store import follow_moved_artifacts


def main() -> None:
    args = parser().parse_args()
    storage = Storage.of(args.storage, args.name or newest(args.storage))
    if not storage.study.exists():
        raise UserError(f"there is no study at {shown(storage.study)}; name a sweep with --name, or its --storage")
    options = storage.read_record()["options"]
    uri = check_tracking_uri(args.tracking_uri or options["tracking_uri"])
    follow_moved_artifacts(uri)
    import optuna  # here, so that --help need not wait

    from tuning.study.reading import open_read_only, tracked_of

    study = optuna.load_study(study_name=storage.name, storage=open_read_only(storage.study))
    place = Place.of(tracked_of(study))
    with dashboards(storage, aims_of(options.get("metric", DEFAULTS.metric))[0], uri, place) as pages:
        print(f"{storage.name}: {pages}  (Ctrl-C ends them)", flush=True)
        threading.Event().wait()


def parser() -> argparse.ArgumentParser:
    parser = CommandParser(prog=typed(), description=__doc__)
    parser.add_argument("--name", help="the sweep (default: the newest one)")
    parser.add_argument(
        "--storage",
        default=DEFAULTS.storage,
        metavar="PATH-or-URI",
        help="where sweeps are kept (default: %(default)s)",
    )
    parser.add_argument("--tracking-uri", metavar="URI", help="MLflow store or server (default: the sweep's)")
    return parser


if __name__ == "__main__":
    run_command(main)
