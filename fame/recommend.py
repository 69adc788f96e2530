"""Recommend items with an exported model: `python -m fame.recommend --model DIR --history ID[,ID…]`."""

from __future__ import annotations

import argparse

from fame.command_line import CommandParser
from fame.errors import run_command
from fame.serving.exported import printable
from fame.serving.options import add_history_options, asked


def main() -> None:
    args = _parser().parse_args()
    recommender, history = asked(args)
    recent = [recommender.exported.catalogue.titles[number - 1] for number in history[-3:]]
    print(f"{len(history)} items in the history, the last: {' → '.join(recent)}")
    (answer,) = recommender.recommend([history], args.top)
    for place, item in enumerate(answer.items, start=1):
        print(f"{place:3d}  {item.score:8.3f}  {printable(str(item.id))}  {item.title}")


def _parser() -> argparse.ArgumentParser:
    parser = CommandParser(prog="python -m fame.recommend", description=__doc__)
    add_history_options(parser)
    parser.add_argument("--top", type=int, default=10, help="how many items (default: 10)")
    return parser


if __name__ == "__main__":
    run_command(main)
