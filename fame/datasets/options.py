"""The command-line options that choose a dataset, the same in every command."""

from __future__ import annotations

import argparse
from typing import Any

from fame.datasets.places import plain_name
from fame.errors import UserError


def add_data_options(parser: argparse.ArgumentParser) -> None:
    """Add `--dataset`, `--data-dir`, `--data` with all that says how to read it, `--items` and `--facets`."""
    group = parser.add_argument_group("data")
    group.add_argument("--dataset", metavar="NAME", help="a registered dataset, or the name to give to --data")
    group.add_argument(
        "--data-dir", metavar="DIR", help="folder with the published archive or NAME/interactions.csv.gz"
    )
    group.add_argument(
        "--data",
        metavar="FILE",
        help="own interactions: CSV, TSV, Parquet or JSON; a file, folder, 'glob', s3:// or gs:// address, or several with "
        "commas in between",
    )
    add_reading_options(group)
    group.add_argument("--items", metavar="FILE", help="own item table with an id column, text and facets")
    group.add_argument("--item-id", metavar="NAME", help="id column of --items, by name or number (default: guessed)")
    group.add_argument(
        "--facets", metavar="NAME,…", help="item columns that the text stage learns from, NAME:BINS for numbers"
    )


def add_reading_options(group: argparse._ArgumentGroup) -> None:
    """Add all that says how to read interactions: `--columns`, `--separator`, `--encoding`, `--where`, `--mixed-times`."""
    group.add_argument(
        "--columns",
        metavar="ROLE=NAME,…",
        help="columns of the table by name or number: user=…,item=…,time=…[,rating=…], and of --items "
        "item_id=…,title=… (default: guessed)",
    )
    group.add_argument(
        "--separator", metavar="TEXT", help="what separates the columns of a text file (default: guessed)"
    )
    group.add_argument("--encoding", metavar="NAME", help="encoding of text files, such as latin-1 (default: utf-8)")
    group.add_argument("--where", metavar="CONDITION", help="rows of the table to keep, in SQL: \"event = 'purchase'\"")
    group.add_argument(
        "--mixed-times",
        choices=("refuse", "convert"),
        help="times of several units in one column: refuse them, or convert them by their size (default: refuse)",
    )
    group.add_argument("--time-format", metavar="FORMAT", help="how times are written, such as '%%d.%%m.%%Y %%H:%%M'")


def data_settings(args: argparse.Namespace) -> dict[str, Any]:
    """The options given, as configuration keys: `data.name`, `data.dir`, …, `text.facets`."""
    name = args.dataset
    if name is None and args.data is not None:
        name = plain_name(args.data)
    settings = {
        "data.name": name,
        "data.dir": args.data_dir,
        "data.path": args.data,
        **reading_settings(args),
        "data.items": args.items,
        "data.item_id": args.item_id,
        "text.facets": None if args.facets is None else [name.strip() for name in args.facets.split(",")],
    }
    return {key: value for key, value in settings.items() if value is not None}


def reading_settings(args: argparse.Namespace) -> dict[str, Any]:
    """The options of `add_reading_options` that are given, as configuration keys."""
    settings = {
        "data.columns": None if args.columns is None else parse_columns(args.columns),
        "data.separator": args.separator,
        "data.encoding": args.encoding,
        "data.where": args.where,
        "data.mixed_times": args.mixed_times,
        "data.time_format": args.time_format,
    }
    return {key: value for key, value in settings.items() if value is not None}


def parse_columns(text: str) -> dict[str, str]:
    """`user=a,item=b` as a dictionary. Raises `UserError` for anything else."""
    columns: dict[str, str] = {}
    for part in text.split(","):
        role, separator, name = part.partition("=")
        if not separator or not role.strip() or not name or role.strip() in columns:
            raise UserError(f"--columns {text!r}: must look like user=NAME,item=NAME,time=NAME, each role once")
        columns[role.strip()] = name
    return columns
