"""Spaces from YAML, checked before a trial starts.

    base:         {model: {name: fame}, train: {epochs: 12}}      # settings of every trial
    search:       {model.heads: {choices: [1, 2, 4]}, train.lr: {low: 1e-4, high: 1e-2, log: true},
                   backbone.lr: {low: 1e-4, high: 1e-2, log: true, when: {backbone.epochs: {above: 0}}}}
    constraints:  [model.heads divides model.dim]                 # every trial meets them
    start:        [{model.heads: 2}]                              # first trials, in this order

A start point may leave keys out: they take the value they have without a search. Each end and each
choice is tried on the experiment itself.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from fame.config.recipes import with_recipe
from fame.config.tree import assign, flatten, key_lines, read_yaml
from fame.errors import UserError, nearest
from tuning.space.check import check_keys, check_possible, check_values, inside, require_known
from tuning.space.domains import read_constraint, read_parameter
from tuning.space.models import merge
from tuning.space.space import MODELS, Space

CONFIGS = Path(__file__).parent.parent / "configs"


def shipped_spaces() -> list[str]:
    """Names of the space files that come with the program."""
    return sorted(path.stem for path in CONFIGS.glob("*.yaml"))


QUICK = "quick"
"""The shipped space of a demonstration, which a sweep takes that names no data."""


def default_space(model: str, names_data: bool) -> str:
    """Return the name of the shipped space for a sweep of `model` that names none.

    FAME on the embedded data is the demonstration. A model without a space of its own is searched in FAME's.
    """
    if model not in shipped_spaces():
        return "fame" if names_data else QUICK
    return QUICK if model == "fame" and not names_data else model


def read_space(source: str | Path) -> Space:
    """Read and check a space: a file, or the name of a shipped one (`fame`, `paper`, …).

    Raises `UserError` that names the file and the key for anything wrong with it.
    """
    path = Path(source)
    if not path.suffix and not path.is_file():
        if str(source) not in shipped_spaces():
            raise UserError(f"no space file '{source}': {nearest(str(source), shipped_spaces())}, or give a path")
        path = CONFIGS / f"{source}.yaml"
    tree = read_yaml(path)
    return space_from_dict(tree, str(source), key_lines(path.read_bytes()))


def space_from_dict(tree: Any, source: str = "space", lines: Mapping[str, int] | None = None) -> Space:
    """`read_space` from the file's content; `lines` are those of its keys."""
    sections = {"base": Mapping, "search": Mapping, "constraints": list, "start": list}
    with inside(source):
        if not isinstance(tree, Mapping):
            raise UserError(f"must be a mapping with the sections {', '.join(sections)}")
        for name, content in tree.items():
            if name not in sections:
                raise UserError(f"unknown section '{name}': {nearest(name, sections)}")
            if not isinstance(content, sections[name]):
                kind = "list" if sections[name] is list else "mapping"
                raise UserError(f"{name} = {json.dumps(content, default=str)}: must be a {kind}")
    base = tree.get("base", {})
    if MODELS in base:  # the record of a sweep of several models, whose spaces were checked one by one
        return _several(tree, source)
    space = Space(base=with_recipe(base), search={}, source=source, lines=lines or {})
    search = {}
    for key, settings in tree.get("search", {}).items():
        with inside(space.place(key)):
            require_known(space, key)
            search[key] = read_parameter(settings, space.defaults[key])
    with inside(f"{source}: constraints"):
        constraints = tuple(map(read_constraint, tree.get("constraints", ())))
    space = replace(space, search=search, constraints=constraints)
    check_keys(space)
    check_values(space)
    check_possible(space)
    return replace(space, start=tuple(_read_start(space, tree.get("start", ()))))


def _several(tree: Mapping[str, Any], source: str) -> Space:
    space = Space(base=tree["base"], search={}, source=source)
    defaults = space.defaults
    return replace(
        space,
        search={key: read_parameter(settings, defaults[key]) for key, settings in tree["search"].items()},
        constraints=tuple(map(read_constraint, tree["constraints"])),
        start=tuple(tree["start"]),
    )


def _read_start(space: Space, points: Any) -> Iterator[dict[str, Any]]:
    for number, given in enumerate(points, start=1):
        with inside(f"{space.source}: start point {number}"):
            if not isinstance(given, Mapping):
                raise UserError(f"{given!r}: must be a mapping from searched keys to values")
            given = flatten(given)
            for key in given:
                if key not in space.search:
                    raise UserError(f"'{key}' is not searched: {nearest(key, space.search)}")
            point = space.complete(given)
            for key in given.keys() - point.keys():
                raise UserError(f"'{key}' must be left out: it needs {' and '.join(map(str, space.search[key].when))}")
            yield point


def _known(space: Space, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return those settings that the space's model has."""
    return {key: value for key, value in flatten(settings).items() if space.has(key)}


def fix(space: Space, settings: Mapping[str, Any]) -> Space:
    """The space with these keys (dotted, or nested) set for every trial and no longer searched.

    Keys that existed only under another value of a fixed key are no longer searched either.
    Start points keep their other keys; one that is no longer possible is dropped.
    """
    if space.members:
        return merge({name: fix(one, _known(one, settings)) for name, one in space.members.items()})
    base = copy.deepcopy(dict(space.base))
    given: dict[str, Any] = {}
    for key, value in flatten(settings).items():
        assign(base, key, value)
        assign(given, key, value)
    settings = flatten(given)
    fixed = replace(space, base=base, search={}, start=())
    fixed = replace(fixed, search=space.left_to_search(settings, fixed.fixed))
    check_keys(fixed)
    check_possible(fixed)
    start: list[dict[str, Any]] = []
    for point in space.start:
        try:
            point = fixed.complete(point)
        except UserError:
            continue
        start += [] if point in start else [point]
    return replace(fixed, start=tuple(start))
