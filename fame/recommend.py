"""Recommend items with an exported model.

python -m fame.recommend --model DIR --history ID[,ID…]
python -m fame.recommend --model DIR --user ID
python -m fame.recommend --model DIR --all-users --out recs.parquet
python -m fame.recommend --model DIR --user ID --items NEW.csv
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib
import os
import sys
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from fame.command_line import CommandParser, typed
from fame.datasets.options import add_reading_options, reading_settings
from fame.errors import UserError, nearest, run_command
from fame.serving.options import add_history_options, add_request_options, model_folder, request_fields

if TYPE_CHECKING:
    from fame.serving.bulk import Engine
    from fame.serving.histories import Histories
    from fame.serving.recommender import Recommender
    from fame.serving.request import Answer, Request

CLUSTER = "tuning.recommending"
"""Module with the engine of a cluster. It is imported when it is asked for: this package builds on none above it."""


def main() -> None:
    args = parser().parse_args()
    many = args.all_users or args.users is not None or args.histories is not None
    _check_options(args, many)
    if many:
        sleep_between_products()
    from fame.serving.recommender import load_recommender, split_ids  # here and below, so that --help need not wait
    from fame.serving.request import Request

    request = Request(**request_fields(args))
    with model_folder(args, reading_settings(args)) as folder:
        recommender = load_recommender(folder)
        _check_request(recommender, request)
        if many:
            _write(args, folder, recommender, request)
        elif args.history is not None:
            _print(recommender, {None: split_ids(args.history)}, request)
        else:
            _print(recommender, dict.fromkeys(split_ids(args.user)), request)


def sleep_between_products() -> None:
    """Let the threads of a product sleep until the next one. To be called before torch is imported.

    By default they spin. Between the large products for many users that takes a third more CPU time, and wins nothing.
    Between the small ones of a training it wins nearly half of the time.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def parser() -> argparse.ArgumentParser:
    parser = CommandParser(prog=typed(), description=__doc__.partition("\n")[0])
    who = add_history_options(parser)
    who.add_argument("--all-users", action="store_true", help="every user that the model was trained on")
    who.add_argument("--users", metavar="FILE", help="users by a table with a user column, or one id a line")
    who.add_argument("--histories", metavar="FILE", help="interactions of any users, in any form that --data takes")
    add_request_options(parser)
    table = parser.add_argument_group("many users")
    table.add_argument("--out", type=Path, metavar="FILE", help="table to write: .parquet or .csv")
    table.add_argument("--address", metavar="ADDRESS", help="Ray cluster to compute on: auto or HOST:6379")
    add_reading_options(parser.add_argument_group("how to read --users, --histories and --items"))
    return parser


def _check_options(args: argparse.Namespace, many: bool) -> None:
    """Raise `UserError` for options that do not go together, before anything is read."""
    if many and args.out is None:
        raise UserError("where to? Recommendations for many users go to a file: add --out recs.parquet")
    if not many:
        for option in ("out", "address"):
            if getattr(args, option) is not None:
                raise UserError(f"--{option} {getattr(args, option)}: needs --all-users, --users or --histories")
    if args.users is args.histories is args.items is None and (given := reading_settings(args)):
        raise UserError(
            f"--{next(iter(given)).removeprefix('data.')}: says how to read --users, --histories or --items; give one"
        )


def _check_request(recommender: Recommender, request: Request) -> None:
    """Say which ids are unknown, and raise `UserError` for a filter that no item can pass."""
    rule = recommender.rule(request)
    if rule.unknown:
        some = ", ".join(map(str, rule.unknown[:5])) + (", …" if len(rule.unknown) > 5 else "")
        print(f"{len(rule.unknown):,} ids are unknown to the model and left out: {some}", file=sys.stderr)
    for column, wanted in request.where.items():
        for label in wanted if isinstance(wanted, list) else ():
            if not recommender.columns.matching({column: label}).any():
                known = recommender.columns.labels(column)
                raise UserError(f"--filter {column}={label}: no item has it; {nearest(label, known)[:200]}")


def _print(recommender: Recommender, users: dict[str | None, list[str] | None], request: Request) -> None:
    """One user after the other. Raises `UserError` for an unknown user, or an item of the history that is unknown."""
    from fame.serving.recommender import history_of_ids, history_of_user

    catalogue = recommender.exported.catalogue
    numbers = {
        user: history_of_user(recommender, user)[1] if ids is None else history_of_ids(recommender, ids)
        for user, ids in users.items()
    }
    asked = [
        dataclasses.replace(request, history=[catalogue.ids[number - 1] for number in history])
        for history in numbers.values()
    ]
    for (user, history), answer in zip(numbers.items(), recommender.recommend(asked), strict=True):
        recent = [catalogue.titles[number - 1] for number in history[-3:]]
        who = f"user {user}: " if len(numbers) > 1 else ""
        print(f"{who}{len(history)} items in the history, the last: {' → '.join(recent)}")
        _print_items(answer)


def _print_items(answer: Answer) -> None:
    from fame.serving.exported import printable

    for place, item in enumerate(answer.items, start=1):
        score = "" if item.score is None else f"{item.score:.3f}"
        print(f"{place:3d}  {score:>8s}  {printable(str(item.id))}  {item.title}")


def _write(args: argparse.Namespace, folder: Path, recommender: Recommender, request: Request) -> None:
    from tqdm import tqdm

    from fame.serving.bulk import Job, check_out, here, write_recommendations

    check_out(args.out)
    job = Job(folder=folder, histories=_histories(args, recommender), request=request)
    if not len(job.histories):
        raise UserError("there are no users to recommend to")
    items = len(recommender.exported.catalogue.ids)
    where = "here" if args.address is None else f"at {args.address}"
    print(f"{len(job.histories):,} users, {items:,} items, top {request.top}, {where}; → {args.out}")
    engine: Engine = partial(here, recommender=recommender) if args.address is None else _engine(args.address)
    began = time.perf_counter()
    with tqdm(total=len(job.histories), unit="user", disable=None, leave=False, dynamic_ncols=True) as bar:
        rows = write_recommendations(job, args.out, engine, print, bar.update)
    seconds = time.perf_counter() - began
    print(f"{rows:,} rows in {seconds:.1f} s, {len(job.histories) / seconds:,.0f} users/s; → {args.out}")


def _histories(args: argparse.Namespace, recommender: Recommender) -> Histories:
    """The users that the options name."""
    from fame.serving import read_users

    if args.all_users:
        return recommender.users
    settings = reading_settings(args)
    if args.users is not None:
        return read_users.chosen_users(recommender, args.users, settings, _note)
    return read_users.own_histories(recommender, args.histories, settings, _note)


def _engine(address: str) -> Engine:
    try:
        module = importlib.import_module(CLUSTER)
    except ModuleNotFoundError as error:
        raise UserError(
            f"--address {address}: needs the package {error.name}: pip install 'fame-tuning[tuning]'"
        ) from None
    return module.engine(address)


def _note(line: str) -> None:
    print(line, file=sys.stderr)


if __name__ == "__main__":
    run_command(main)
