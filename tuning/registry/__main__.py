"""Register an exported model that no sweep registered: `python -m tuning.registry --model DIR`."""

from __future__ import annotations

import argparse
from pathlib import Path

from fame.command_line import CommandParser
from fame.errors import run_command
from fame.runtime.provenance import mask_credentials
from tuning.plan.options import DEFAULTS
from tuning.registry.register import register, version_tags
from tuning.tracking.store import be_patient, check_tracking_uri, connect, in_one_line


def main() -> None:
    args = _parser().parse_args()
    dataset = version_tags(args.model)["dataset"]
    uri = check_tracking_uri(args.tracking_uri)
    be_patient()
    with in_one_line(uri):
        registered = register(*connect(uri, dataset, None), args.model)
    print(registered)
    print(f"serve it: {registered.command(mask_credentials(args.tracking_uri))}")


def _parser() -> argparse.ArgumentParser:
    parser = CommandParser(
        prog="python -m tuning.registry", description="Register an exported model in MLflow."
    )
    parser.add_argument("--model", type=Path, required=True, help="folder that a training or a sweep exported")
    parser.add_argument(
        "--tracking-uri",
        default=DEFAULTS.tracking_uri,
        metavar="URI",
        help="MLflow store or server (default: %(default)s)",
    )
    return parser


if __name__ == "__main__":
    run_command(main)
