"""Write docs/SETTINGS.md from the settings' fields and docstrings: `python -m docs.generate_settings`."""

from __future__ import annotations

import argparse
import ast
import dataclasses
import inspect
import textwrap
import typing
from functools import cache
from pathlib import Path
from typing import Any

from fame.command_line import Removed
from fame.config import (
    BackboneConfig,
    DataConfig,
    EvaluateConfig,
    Experiment,
    ModelConfig,
    SplitConfig,
    TextConfig,
    TrainConfig,
)
from fame.config.ranges import ranges
from fame.config.recipes import RECIPES
from fame.registry import models
from tuning.plan import command_line

PAGE = Path(__file__).parent / "SETTINGS.md"
SECTIONS = {
    "data": DataConfig,
    "data.split": SplitConfig,
    "train": TrainConfig,
    "backbone": BackboneConfig,
    "text": TextConfig,
    "evaluate": EvaluateConfig,
}
HEAD = """# Settings

`python -m docs.generate_settings` writes this page from the code. A test compares the page with the code.

An experiment is one YAML file. Every section below is a section of the file. Three ways set a value:

- in a file: `python -m fame.train --config FILE`
- on the command line: `--set SECTION.KEY=VALUE`
- in a search space: as a fixed value in `base`, or as a range in `search`

A search may vary every setting that leaves trials comparable. It may not vary `model.name`, `train.metric`,
`train.validation_users`, `evaluate` and `data`; of `data` only `data.max_length` may vary. An unknown key is an error that names
the nearest known key.
"""


def main() -> None:
    PAGE.write_text(page(), encoding="utf-8")


def page() -> str:
    """Return the text of the page."""
    parts = [HEAD, "## Experiment\n", _table(Experiment, ("seed",)), _recipes()]
    for name, section in SECTIONS.items():
        parts += [f"## `{name}`\n", _sentence(section) + "\n", _table(section, _names(section))]
    parts += ["## `model`\n", "`model.name` chooses the model. Each model has settings of its own.\n"]
    for name in models.names():
        parts += _model(name)
    parts += ["## Options of a sweep\n", "`python tuning/sweep.py` and `fame sweep` take these options.\n", _options()]
    return "\n".join(parts)


def _model(name: str) -> list[str]:
    """Return the part about one model: the fields of its own, and the model whose fields it has too."""
    config = models.get(name).Config
    above = next((other for other in reversed(_ancestors(config, name)) if other), None)
    inherited = set() if above is None else _unchanged(config, models.get(above).Config)
    parts = [f"### `{name}`\n", _sentence(config) + "\n"]
    if above is not None:
        parts.append(f"It has the settings of [`{above}`](#{above}) too.\n")
    own = [field for field in _names(config) if field not in inherited]
    return parts + ([_table(config, own)] if own else [])


def _ancestors(config: type, name: str) -> list[str]:
    """Return the models whose settings this model's settings derive from, the most basic one first."""
    found = {models.get(other).Config: other for other in models.names() if other != name}
    return [found[cls] for cls in reversed(config.__mro__[1:]) if cls in found]


def _unchanged(config: type, above: type) -> set[str]:
    """Return the fields that mean and start the same in both."""
    fields = {field.name: field.default for field in dataclasses.fields(above)}
    return {f.name for f in dataclasses.fields(config) if f.name in fields and fields[f.name] == f.default}


def _names(config: type) -> list[str]:
    """Return a section's settings. A model's name is no setting: it chooses the section."""
    hidden = {"name"} if issubclass(config, ModelConfig) else set()
    return [field.name for field in dataclasses.fields(config) if field.name not in hidden]


def _table(config: type, names: typing.Iterable[str]) -> str:
    hints, allowed = typing.get_type_hints(config), ranges(config)
    fields = {field.name: field for field in dataclasses.fields(config)}
    lines = ["| setting | default | values | meaning |", "| --- | --- | --- | --- |"]
    for name in names:
        meaning = _cell(_meaning(config, name))
        values = _kind(hints[name]) + (f", {allowed[name]}" if name in allowed else "")
        lines.append(f"| `{name}` | {_value(fields[name].default)} | {_cell(values)} | {meaning} |")
    return "\n".join(lines) + "\n"


def _value(value: Any) -> str:
    if value is None or value is dataclasses.MISSING:
        return "–"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return f"`{list(value)}`" if isinstance(value, tuple) else f"`{value}`"


def _kind(hint: Any) -> str:
    """Return an annotation in words."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Literal:
        return ", ".join(f"`{value}`" for value in arguments)
    if origin is tuple:
        return f"list of {_kind(arguments[0])}"
    if origin is dict:
        return f"{_kind(arguments[0])} → {_kind(arguments[1])}"
    if origin is not None:  # a union, usually with None
        return " or ".join(_kind(argument) for argument in arguments if argument is not type(None))
    if dataclasses.is_dataclass(hint):
        return f"[settings](#{hint.section.replace('.', '')})"
    return {str: "text", int: "whole number", float: "number", bool: "`true`, `false`"}[hint]


def _meaning(config: type, name: str) -> str:
    """Return the docstring of a field, from the nearest class that has one."""
    for cls in config.__mro__:
        if dataclasses.is_dataclass(cls) and name in _docstrings(cls):
            return _docstrings(cls)[name]
    raise ValueError(f"{config.__name__}.{name} has no docstring")


@cache
def _docstrings(cls: type) -> dict[str, str]:
    """Return the strings that follow a class's fields in its source."""
    (tree,) = ast.parse(textwrap.dedent(inspect.getsource(cls))).body
    assert isinstance(tree, ast.ClassDef)
    found = {}
    for field, text in zip(tree.body, tree.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant):
            assert isinstance(field.target, ast.Name)
            found[field.target.id] = str(text.value.value)
    return found


def _sentence(cls: type) -> str:
    """Return the first paragraph of a class's docstring."""
    return " ".join(inspect.cleandoc(cls.__doc__ or "").partition("\n\n")[0].split())


def _recipes() -> str:
    """Return what each named recipe sets."""
    lines = ["`--set recipe=NAME` sets several settings at once:\n", "| recipe | settings |", "| --- | --- |"]
    for name, sections in RECIPES.items():
        settings = [f"`{part}.{key}={value}`" for part, keys in sections.items() for key, value in keys.items()]
        lines.append(f"| `{name}` | {', '.join(settings)} |")
    return "\n".join(lines) + "\n"


def _options() -> str:
    """Return the sweep's options by group, as its help says them."""
    lines = []
    for group in command_line.parser()._action_groups:
        actions = [action for action in group._group_actions if not isinstance(action, (argparse._HelpAction, Removed))]
        if not actions:
            continue
        lines += [f"### {(group.title or '').capitalize()}\n", "| option | meaning |", "| --- | --- |"]
        for action in actions:
            value = action.metavar or ("|".join(map(str, action.choices)) if action.choices else None)
            takes = action.nargs != 0
            name = action.option_strings[-1] + (f" {value or action.dest.upper()}" if takes else "")
            lines.append(f"| `{name.replace('|', ' or ')}` | {_cell(action.help or '')} |")
        lines.append("")
    return "\n".join(lines)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


if __name__ == "__main__":
    main()
