"""The command line of `tuning/sweep.py`.

Options that were given are kept apart from their defaults. A resumed sweep takes all other options from its record. An
option that contradicts the record is an error.
"""

from __future__ import annotations

import argparse
import dataclasses
from typing import Any, get_args, get_type_hints

from fame.command_line import CommandParser, Removed, typed
from fame.datasets.options import add_data_options, data_settings
from tuning.plan.credentials import without_credentials
from tuning.plan.options import HOW, LOUDNESS, REMOVED, SEEN, WHAT, WHERE, Options, flag


def parse(arguments: list[str] | None = None) -> tuple[Options, dict[str, Any]]:
    """Return the options, and the options that were given on the command line."""
    args = parser().parse_args(arguments)
    given = {f.name: getattr(args, f.name, None) for f in dataclasses.fields(Options)} | {"data": data_settings(args)}
    given = {
        key: tuple(value) if key in ("set", "limits") else value
        for key, value in given.items()
        if value is not None and value != {}
    }
    if "tracking_uri" in given:
        given["tracking_uri"] = without_credentials(given["tracking_uri"])
    return Options(**given), given


def parser() -> argparse.ArgumentParser:
    parser = CommandParser(
        prog=typed(),
        description="Search the best configuration of a sequential recommender: Optuna proposes, Ray runs, "
        "MLflow records, and the best configuration is exported.",
    )
    add_data_options(parser)
    groups: dict[str, Any] = {group: parser.add_argument_group(group) for group in (WHAT, HOW, WHERE, SEEN)}
    groups[LOUDNESS] = groups[SEEN].add_mutually_exclusive_group()
    hints = get_type_hints(Options)
    for f in dataclasses.fields(Options):
        if not f.metadata:
            continue
        kind: dict[str, Any] = {}
        if hints[f.name] is bool:
            kind = {"action": argparse.BooleanOptionalAction if f.default else "store_true", "default": None}
        elif number := {int, float} & {hints[f.name], *get_args(hints[f.name])}:
            kind = {"type": number.pop()}
        groups[f.metadata["group"]].add_argument(flag(f.name), *f.metadata["also"], **kind, **f.metadata["argument"])
    for key, instead in REMOVED.items():
        groups[WHERE].add_argument(flag(key), action=Removed, const=instead, help=argparse.SUPPRESS)
    return parser
