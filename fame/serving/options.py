"""The command-line options that name a model, histories and what may be recommended, the same in every command."""

from __future__ import annotations

import argparse
import contextlib
import re
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fame.errors import UserError

if TYPE_CHECKING:
    from fame.serving.recommender import Recommender

FILTER = re.compile(r"(?P<column>[^=<>]+)(?P<sign>>=|<=|=)(?P<value>.*)", re.DOTALL)


def add_history_options(parser: argparse.ArgumentParser) -> argparse._MutuallyExclusiveGroup:
    """--model, with --items, and whose next items: --history or --user, to which a command may add."""
    parser.add_argument("--model", type=Path, required=True, help="folder that a training or a sweep exported")
    parser.add_argument(
        "--items", metavar="FILE", help="new items that the model places by their text: a table with ids"
    )
    parser.add_argument("--item-id", metavar="NAME", help="id column of --items (default: guessed)")
    who = parser.add_mutually_exclusive_group(required=True)
    who.add_argument("--history", metavar="ID,…", help="item ids, oldest first, separated by commas")
    who.add_argument("--user", metavar="ID", help="a user of the dataset that the model was trained on")
    return who


def asked(args: argparse.Namespace) -> tuple[Recommender, list[int]]:
    """The model and the history that the options of `add_history_options` name. Raises `UserError`."""
    if args.top < 1:
        raise UserError(f"--top {args.top}: must be at least 1")
    from fame.serving.recommender import history_of_ids, history_of_user, load_recommender, split_ids

    with model_folder(args, {}) as folder:
        recommender = load_recommender(folder)
        if args.user is None:
            return recommender, history_of_ids(recommender, split_ids(args.history))
        return recommender, history_of_user(recommender, args.user)[1]


@contextlib.contextmanager
def model_folder(args: argparse.Namespace, settings: Mapping[str, Any]) -> Iterator[Path]:
    """The folder that --model names, or a copy that knows the items of --items; `settings` say how to read these.

    Raises `UserError` for items that the model cannot place.
    """
    if args.item_id is not None and args.items is None:
        raise UserError(f"--item-id {args.item_id}: says how to read --items; give it, too")
    if args.items is None:
        yield args.model
        return
    from fame.datasets import print_to_stderr
    from fame.serving.new_items import with_new_items

    with tempfile.TemporaryDirectory(prefix="fame-model-") as work:
        given = {**settings, **({} if args.item_id is None else {"data.item_id": args.item_id})}
        count = with_new_items(args.model, args.items, given, Path(work) / "best", print_to_stderr)
        print_to_stderr(f"{count:,} new items, placed by their text")
        yield Path(work) / "best"


def add_request_options(parser: argparse.ArgumentParser) -> None:
    """The fields of `Request` besides the history."""
    group = parser.add_argument_group("what may be recommended")
    group.add_argument("--top", type=int, default=10, help="how many items (default: 10)")
    group.add_argument("--candidates", metavar="ID,…", help="the only items to choose from (default: all)")
    group.add_argument("--exclude", metavar="ID,…", help="items to leave out")
    group.add_argument(
        "--filter",
        action="append",
        default=[],
        metavar="COLUMN=LABEL",
        help="items with this label in a column; also COLUMN>=5 and COLUMN<=20. The same column twice with = means either",
    )
    group.add_argument("--min-score", type=float, metavar="X", help="lowest score of an item")
    seen = group.add_mutually_exclusive_group()
    seen.add_argument("--seen", action="store_true", default=None, help="items of the history, too")
    seen.add_argument(
        "--unseen",
        dest="seen",
        action="store_false",
        help="no items of the history (default: as the model was evaluated)",
    )


def request_fields(args: argparse.Namespace) -> dict[str, Any]:
    """The options of `add_request_options` as fields of `Request`. Raises `UserError`."""
    from fame.serving.recommender import split_ids

    if args.top < 1:
        raise UserError(f"--top {args.top}: must be at least 1")
    return {
        "top": args.top,
        "candidates": None if args.candidates is None else split_ids(args.candidates),
        "exclude": split_ids(args.exclude or ""),
        "where": parse_filters(args.filter),
        "min_score": args.min_score,
        "seen": args.seen,
    }


def parse_filters(texts: list[str]) -> dict[str, Any]:
    """`["brand=A", "brand=B", "price<=20"]` as `{"brand": ["A", "B"], "price": {"max": 20}}`. Raises `UserError`."""
    where: dict[str, Any] = {}
    for text in texts:
        found = FILTER.fullmatch(text)
        if not found:
            raise UserError(f"--filter {text!r}: must look like COLUMN=LABEL, COLUMN>=NUMBER or COLUMN<=NUMBER")
        column, sign, value = found["column"].strip(), found["sign"], found["value"].strip()
        before = where.setdefault(column, [] if sign == "=" else {})
        if isinstance(before, list) != (sign == "="):
            raise UserError(f"--filter {text!r}: a column has labels or bounds, not both")
        if isinstance(before, list):
            before.append(value)
            continue
        try:
            before["min" if sign == ">=" else "max"] = float(value)
        except ValueError:
            raise UserError(f"--filter {text!r}: {value!r} is not a number") from None
    return where
