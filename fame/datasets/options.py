"""The command-line options that choose a dataset, the same in every command."""

from __future__ import annotations

import argparse
from typing import Any

from fame.errors import UserError
from fame.tables.places import plain_name


def add_data_options(parser: argparse.ArgumentParser) -> None:
    """Add `--dataset`, `--data-dir`, `--data` with all that says how to read and split it, `--items` and `--facets`."""
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
    group.add_argument(
        "--split",
        metavar="BY[,validation=X,test=Y]",
        help="last: so many items of each user; time: shares of the interactions or dates (default: last, one item each)",
    )
    group.add_argument(
        "--train", metavar="FILE", help="the training part, in place of --data, where --test is a file, too"
    )
    group.add_argument("--validation", metavar="FILE", help="the validation part")
    group.add_argument("--test", metavar="FILE", help="the test part")
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
    split, path = _split(args), args.data if args.train is None else args.train
    name = args.dataset
    if name is None and path is not None:
        name = plain_name(path)
    settings = {
        "data.name": name,
        "data.dir": args.data_dir,
        "data.path": path,
        "data.split": split,
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


def _split(args: argparse.Namespace) -> dict[str, Any] | None:
    """The `data.split` section that the options name. Raises `UserError` for options that contradict each other."""
    files = {part: getattr(args, part) for part in ("train", "validation", "test") if getattr(args, part) is not None}
    if not files:
        return None if args.split is None else parse_split(args.split)
    for option in ("data", "split"):
        if getattr(args, option) is not None:
            raise UserError(
                f"--{next(iter(files))} and --{option}: files that are split already need --train and --test alone"
            )
    if not {"train", "test"} <= files.keys():
        raise UserError(f"--{' and --'.join(files)}: files that are split already need --train and --test")
    return {"by": "files", **{part: path for part, path in files.items() if part != "train"}}


def parse_split(text: str) -> dict[str, Any]:
    """`time,validation=0.1,test=2024-01-05` as a section. Raises `UserError` for anything else."""
    by, *rest = (part.strip() for part in text.split(","))
    found: dict[str, Any] = {"by": by.removeprefix("by=")}
    for part in rest:
        key, separator, value = part.partition("=")
        if not separator or not value or key not in ("validation", "test") or key in found:
            raise UserError(
                f"--split {text!r}: must look like time,validation=0.1,test=0.1 or last,validation=2,test=2"
            )
        try:
            found[key] = float(value)
        except ValueError:
            found[key] = value
    if found["by"] not in ("last", "time"):
        raise UserError(
            f"--split {text!r}: must begin with last or time; files have options of their own, --train and --test"
        )
    return found
