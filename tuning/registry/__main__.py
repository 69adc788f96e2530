"""Register an exported model that no sweep registered: `python -m tuning.registry --model DIR`."""

from __future__ import annotations

import argparse
from pathlib import Path

from fame.command_line import CommandParser, typed
from fame.errors import run_command
from fame.runtime.provenance import mask_credentials
from tuning.plan.mlflow_defaults import EXPERIMENT_HELP, TRACKING_HELP, default_experiment, default_tracking_uri
from tuning.registry.exported import Exported
from tuning.registry.register import register
from tuning.tracking.addresses import check_tracking_uri
from tuning.tracking.store import be_patient, connect, in_one_line


def main() -> None:
    args = parser().parse_args()
    experiment = args.experiment or default_experiment() or Exported.read(args.model).tags["dataset"]
    uri = check_tracking_uri(args.tracking_uri)
    be_patient()
    with in_one_line(uri):
        registered = register(*connect(uri, experiment), args.model, users=args.users)
    print(registered)
    print(f"serve it: {registered.command(mask_credentials(args.tracking_uri))}")


def parser() -> argparse.ArgumentParser:
    parser = CommandParser(prog=typed(), description="Register an exported model in MLflow.")
    parser.add_argument("--model", type=Path, required=True, help="folder that a training or a sweep exported")
    parser.add_argument(
        "--tracking-uri",
        default=default_tracking_uri(),
        metavar="URI",
        help=TRACKING_HELP,
    )
    parser.add_argument(
        "--users", action="store_true", help="pack the users' histories too, so that requests may name a user"
    )
    parser.add_argument("--experiment", metavar="NAME", help=EXPERIMENT_HELP)
    return parser


if __name__ == "__main__":
    run_command(main)
