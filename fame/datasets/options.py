"""The command-line options that choose a dataset, the same in every command."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from fame.errors import UserError


def add_data_options(parser: argparse.ArgumentParser) -> None:
    """Add `--dataset`, `--data-dir`, `--data`, `--columns`, `--items` and `--facets`."""
    group = parser.add_argument_group("data")
    group.add_argument("--dataset", metavar="NAME", help="a registered dataset, or the name to give to --data")
    group.add_argument(
        "--data-dir", metavar="DIR", help="folder with the published archive or NAME/interactions.csv.gz"
    )
    group.add_argument("--data", metavar="FILE", help="own interactions: CSV, TSV, Parquet or JSON lines, gzip too")
    group.add_argument(
        "--columns", metavar="ROLE=NAME,…", help="columns of --data: user=…,item=…,time=…[,rating=…] (default: guessed)"
    )
    group.add_argument("--items", metavar="FILE", help="own item table with an id column, text and facets")
    group.add_argument(
        "--facets", metavar="NAME,…", help="item columns that the text stage learns from, NAME:BINS for numbers"
    )


def data_settings(args: argparse.Namespace) -> dict[str, Any]:
    """The options given, as configuration keys: `data.name`, `data.dir`, …, `text.facets`."""
    name = args.dataset
    if name is None and args.data is not None:
        name = Path(args.data).name.split(".")[0] or None
    settings = {
        "data.name": name,
        "data.dir": args.data_dir,
        "data.path": args.data,
        "data.columns": None if args.columns is None else parse_columns(args.columns),
        "data.items": args.items,
        "text.facets": None if args.facets is None else [name.strip() for name in args.facets.split(",")],
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
