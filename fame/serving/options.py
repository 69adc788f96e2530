"""The command-line options that name a model and a history, the same in every command."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from fame.errors import UserError

if TYPE_CHECKING:
    from fame.serving.recommender import Recommender


def add_history_options(parser: argparse.ArgumentParser) -> None:
    """--model, and whose next items: --history or --user."""
    parser.add_argument("--model", type=Path, required=True, help="folder that a training or a sweep exported")
    who = parser.add_mutually_exclusive_group(required=True)
    who.add_argument("--history", help="item ids, oldest first, separated by commas")
    who.add_argument("--user", help="a user of the dataset that the model was trained on")


def asked(args: argparse.Namespace) -> tuple[Recommender, list[int]]:
    """The model and the history that the options of `add_history_options` name. Raises `UserError`."""
    if args.top < 1:
        raise UserError(f"--top {args.top}: must be at least 1")
    from fame.serving.recommender import history_of_ids, history_of_user, load_recommender, split_ids

    recommender = load_recommender(args.model)
    if args.user is None:
        return recommender, history_of_ids(recommender, split_ids(args.history))
    from fame.datasets import load_dataset

    _, history = history_of_user(load_dataset(recommender.exported.experiment.data), args.user)
    return recommender, history
