"""Explain recommendations: `python -m fame.explain --model DIR --user ID [--picture FILE.svg]`."""

from __future__ import annotations

import argparse
from pathlib import Path

from fame.command_line import CommandParser
from fame.errors import UserError, run_command
from fame.runtime.files import writing
from fame.serving.explanation import explain, terminal_view
from fame.serving.options import add_history_options, asked


def main() -> None:
    args = _parser().parse_args()
    if args.picture is not None and args.picture.suffix.lower() != ".svg":
        raise UserError(f"--picture {args.picture}: pictures are SVG; give a name that ends in .svg")
    recommender, history = asked(args)
    explanation = explain(recommender, history, args.top)
    experiment = recommender.exported.experiment
    who = f"user {args.user}" if args.user is not None else f"a history of {len(history)}"
    title = f"{experiment.data.name}, {experiment.model.name}: {who}"
    print(terminal_view(explanation, title))
    if args.picture is not None:
        from fame.serving.picture import picture

        with writing(args.picture):
            args.picture.parent.mkdir(parents=True, exist_ok=True)
            args.picture.write_text(picture(explanation, title), encoding="utf-8")
        print(f"\npicture → {args.picture}")


def _parser() -> argparse.ArgumentParser:
    parser = CommandParser(prog="python -m fame.explain", description="Why a model recommends what it does.")
    add_history_options(parser)
    parser.add_argument("--top", type=int, default=5, help="how many items (default: 5)")
    parser.add_argument("--picture", type=Path, metavar="FILE.svg", help="draw it, too (default: text only)")
    return parser


if __name__ == "__main__":
    run_command(main)
