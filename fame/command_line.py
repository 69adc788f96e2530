"""The parser of every command: a wrong option or value is one line with the nearest right one."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from typing import Any, NoReturn

from fame.errors import UserError, nearest


class CommandParser(argparse.ArgumentParser):
    """`argparse`, with usage errors as `UserError`."""

    def parse_args(self, args: Sequence[str] | None = None, namespace: Any = None) -> Any:  # type: ignore[override]
        found, left = self.parse_known_args(args, namespace)
        if left:
            raise UserError(self._about(left[0]))
        return found

    def error(self, message: str) -> NoReturn:
        """Called by argparse with its own words for every other mistake."""
        wrong = re.fullmatch(
            r"argument (?P<option>.+?): invalid choice: (?P<value>'.*'|\".*\") \(choose from (?P<choices>.*)\)", message
        )
        if wrong:
            option, value = wrong["option"].split("/")[-1], wrong["value"][1:-1]
            choices = [choice.strip().strip("'\"") for choice in wrong["choices"].split(",")]
            raise UserError(f"{option} {value}: {nearest(value, choices)}")
        typed = re.fullmatch(r"argument (?P<option>.+?): invalid (?P<kind>\w+) value: (?P<value>.*)", message)
        if typed:
            kind = {"int": "a whole number", "float": "a number"}.get(typed["kind"], f"of type {typed['kind']}")
            raise UserError(f"{typed['option'].split('/')[-1]} {typed['value']}: must be {kind}")
        message = message.removeprefix("argument ")
        raise UserError(f"{' '.join(message.split())}; {self.prog} --help lists the options")

    def _about(self, text: str) -> str:
        """The line about an argument that nobody takes."""
        option = text.partition("=")[0]
        if not option.startswith("-"):
            return f"unexpected argument {text!r}; {self.prog} --help lists the options"
        known = [name for action in self._actions for name in action.option_strings if name.startswith("--")]
        near = nearest(option, known)
        hint = (
            near.partition(" (known")[0] if near.startswith("did you mean") else f"{self.prog} --help lists the options"
        )
        return f"unknown option {option}: {hint}"
