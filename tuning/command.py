"""The command `fame`: each subcommand starts the module that does the work.

    fame sweep --dataset ml-20m      is   python -m tuning.sweep --dataset ml-20m
    fame train --config FILE         is   python -m fame.train --config FILE

A module of a subcommand has `parser()`, which needs neither torch nor Ray, and `main()`. The modules are named here
and imported when they are asked for, so `fame --help` is quick and this file builds on no package above its own.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, cast

from fame import __version__
from fame.command_line import CommandParser, typed
from fame.errors import UserError, run_command
from fame.packages import optional


@dataclass(frozen=True, kw_only=True)
class Command:
    """A subcommand."""

    module: str
    about: str
    """The command's purpose in half a line."""


COMMANDS = {
    "sweep": Command(module="tuning.sweep", about="search the best configuration of a model"),
    "train": Command(module="fame.train", about="train one configuration"),
    "evaluate": Command(module="fame.evaluate", about="evaluate an exported model, also on other data"),
    "recommend": Command(module="fame.recommend", about="recommend items with an exported model"),
    "explain": Command(module="fame.explain", about="show why a model recommends an item"),
    "export": Command(module="fame.export", about="write a model for torch.export, ONNX or the Hugging Face hub"),
    "compare": Command(module="tuning.compare", about="compare the best models of sweeps"),
    "report": Command(module="tuning.report.__main__", about="write the report of a sweep"),
    "dashboards": Command(module="tuning.dashboards.__main__", about="serve the pages of a sweep"),
    "register": Command(module="tuning.registry.__main__", about="register an exported model in MLflow"),
    "data": Command(module="fame.datasets.__main__", about="prepare a dataset and print its statistics"),
    "text": Command(module="fame.text.__main__", about="train the text stage alone"),
    "index": Command(module="fame.index.__main__", about="make an index of a model's items"),
    "doctor": Command(module="cluster.doctor", about="check whether sweeps will run on a cluster"),
}
SHELLS = ("bash", "zsh", "tcsh")


class Module(Protocol):
    """The module of a subcommand."""

    parser: Callable[[], argparse.ArgumentParser]
    main: Callable[[], int | None]


def main() -> int | None:
    """Run the subcommand that the command line names, and return its exit code."""
    program, arguments = typed(), sys.argv[1:]
    if arguments and arguments[0] in COMMANDS:
        sys.argv = [f"{program} {arguments[0]}", *arguments[1:]]
        with optional():
            return module_of(arguments[0]).main()
    args = parser(program).parse_args(arguments)
    if args.completion is not None:
        print(completion(args.completion))
        return None
    raise UserError(f"which command? Give one of {', '.join(COMMANDS)}; {program} --help explains them")


def module_of(command: str) -> Module:
    """Import the module of a subcommand."""
    return cast(Module, importlib.import_module(COMMANDS[command].module))


def parser(program: str = "fame") -> argparse.ArgumentParser:
    """Return the options of `fame` itself; subcommands have no options here."""
    parser = CommandParser(
        prog=program,
        usage="%(prog)s COMMAND [OPTIONS]",
        description="Tune, train and use sequential recommenders.",
        epilog=f"{program} COMMAND --help explains a command.",
    )
    parser.add_argument("--version", action="version", version=f"fame {__version__}")
    parser.add_argument("--completion", choices=SHELLS, help='print completions: eval "$(fame --completion bash)"')
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", dest="command")
    for name, command in COMMANDS.items():
        commands.add_parser(name, help=command.about)
    return parser


def completion(shell: str) -> str:
    """Return a script that completes `fame`, its subcommands, their options and file names in a shell."""
    import shtab

    whole = argparse.ArgumentParser(prog="fame")
    whole.add_argument("--version", action="version", version="")
    whole.add_argument("--completion", choices=SHELLS)
    commands = whole.add_subparsers()
    for name, command in COMMANDS.items():
        # `parents` copies options and groups; the help option is the subcommand's own.
        own = module_of(name).parser()
        commands.add_parser(name, help=command.about, parents=[own], conflict_handler="resolve")
    return str(shtab.complete(whole, shell=shell))


def run() -> None:
    """Start `fame` as the installed program does."""
    run_command(main)


if __name__ == "__main__":
    run()
