"""Whether sweeps will run on a cluster: `python -m cluster.doctor [--address …] [--storage …] [--tracking-uri …]`.

Looks at every node and says a line for each check: ok, warning or failure, and then what to do. Ends with 0, with 1
if a check failed, and with 2 if it could not be made.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from fame.command_line import CommandParser, typed
from fame.errors import EXIT_FAILED, UserError, run_command
from fame.remote import check_no_secret, is_remote
from tuning.plan.credentials import without_credentials
from tuning.plan.mlflow_defaults import TRACKING_HELP, default_tracking_uri
from tuning.plan.options import DEFAULTS

if TYPE_CHECKING:
    from tuning.machines.checks import Finding

SECONDS = 60.0
"""Longest wait for the answers of all nodes to one question."""


def main() -> int:
    args = parser().parse_args()
    if args.timeout <= 0:
        raise UserError(f"--timeout {args.timeout:g}: must be more than 0 seconds")
    if is_remote(args.storage):
        check_no_secret("--storage", args.storage)
    tracking_uri = without_credentials(args.tracking_uri)
    from tuning.machines import resources  # here, so that --help need not wait

    with tempfile.TemporaryDirectory() as folder, resources.cluster(args.address, Path(folder) / "ray"):
        findings = examine(args.storage, tracking_uri, args.timeout)
    for finding in findings:
        print(f"{finding.level:8} {finding.check:14} {finding}")
    counts = {level: sum(finding.level == level for finding in findings) for level in ("failure", "warning")}
    print(", ".join(f"{n} {level}{'s' if n != 1 else ''}" for level, n in counts.items()))
    return EXIT_FAILED if counts["failure"] else 0


def examine(storage: str, tracking_uri: str, seconds: float) -> list[Finding]:
    """All checks of the cluster that Ray is connected to."""
    from cluster.checks import (
        check_answers,
        check_auth,
        check_clocks,
        check_gpus,
        check_machines,
        check_object_stores,
        check_shared,
        clock_skews,
    )
    from cluster.nodes import Nodes, alive_nodes
    from tuning.machines.checks import Machine, Needs, check_storage, check_tracking

    needs = Needs.declared()
    here = Machine.here(list(needs.packages))
    nodes = Nodes(alive_nodes(), seconds)
    written = check_storage(storage)
    findings = [
        *check_machines(nodes.ask(lambda probe, _: probe.machine.remote(list(needs.packages))), needs, here),
        *check_auth(nodes.ask(lambda probe, _: probe.auth_mode.remote())),
        *check_gpus(nodes.ask(lambda probe, _: probe.gpus.remote())),
        *check_clocks(clock_skews(nodes)),
        *check_object_stores(nodes.answering),
        *written,
        *([] if any(finding.level == "failure" for finding in written) else check_shared(nodes, storage)),
        check_tracking(tracking_uri, asks=True),
    ]
    return [*check_answers(nodes), *findings]  # the last question may have found a node that is gone


def parser() -> argparse.ArgumentParser:
    parser = CommandParser(
        prog=typed(),
        description="Check whether sweeps will run on a cluster: every node, in a line a check.",
    )
    parser.add_argument(
        "--address", help="Ray cluster to look at, such as auto (default: this machine, with a Ray of its own)"
    )
    parser.add_argument(
        "--storage",
        default=DEFAULTS.storage,
        metavar="PATH-or-URI",
        help="where sweeps are kept (default: %(default)s)",
    )
    parser.add_argument(
        "--tracking-uri",
        default=default_tracking_uri(),
        metavar="URI",
        help=TRACKING_HELP,
    )
    parser.add_argument(
        "--timeout",
        type=float,
        default=SECONDS,
        metavar="SECONDS",
        help="longest wait for the nodes' answers to a question (default: %(default)g)",
    )
    return parser


if __name__ == "__main__":
    run_command(main)
