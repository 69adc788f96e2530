"""Experiments as nested dictionaries and YAML: reading, writing, overriding.

Reading converts and checks every value against the annotations of the dataclasses in
`fame.config`; an unknown key is answered with the nearest known one.
"""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import datetime
import functools
import types
import typing
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

from fame.config import Experiment, require
from fame.config.paths import found_beside
from fame.config.recipes import settings_of, with_recipe
from fame.errors import UserError, nearest
from fame.registry import models

REMOVED = {
    "model.residual": "Eq. 7 was read wrongly up to version 0.1; train again, with model.attention_residual",
    "model.norm": "the norm before each sublayer went in version 0.2; train again, or use version 0.1",
}
"""Settings of earlier versions, and what to do."""


def experiment_from_dict(tree: Mapping[str, Any]) -> Experiment:
    """Build and check an experiment from nested dictionaries.

    Raises `UserError` for an unknown key (with the nearest known one), a value of the wrong
    type, or a broken rule.
    """
    require(isinstance(tree, Mapping), "configuration", tree, "must be a mapping of sections")
    tree = with_recipe(tree)
    model = tree.pop("model", None)
    model = {} if model is None else model
    require(isinstance(model, Mapping), "model", model, "must be a mapping with the key 'name'")
    model_class = models.get(str(model.get("name", "fame")))
    values = _read_fields(Experiment, tree, "")
    return Experiment(model=section_from_dict(model_class.Config, model, "model"), **values)


def to_dict(config: Any) -> dict[str, Any]:
    """The inverse of `experiment_from_dict`: plain values only, every field present."""
    return {
        f.name: to_dict(value)
        if dataclasses.is_dataclass(value)
        else list(value)
        if isinstance(value, tuple)
        else value
        for f in dataclasses.fields(config)
        for value in [getattr(config, f.name)]
    }


def read_yaml(path: str | Path) -> Any:
    """Content of a YAML file. Raises `UserError` if it cannot be read or is not YAML."""
    try:
        content = Path(path).read_bytes()
    except FileNotFoundError:
        raise UserError(f"no such file: {path}") from None
    except OSError as error:
        raise UserError(f"cannot read {path}: {error}") from None
    return parse_yaml(content, path)


def parse_yaml(content: bytes, source: str | Path) -> Any:
    """YAML text as plain values; it cannot run code. Raises `UserError` if it is not YAML."""
    import yaml

    try:
        return yaml.load(content.decode("utf-8"), Loader=_loader())
    except UnicodeDecodeError as error:
        raise UserError(f"cannot read {source}: {error}") from None
    except _RepeatedKey as error:
        raise UserError(f"{source}: {error}") from None
    except RecursionError:
        raise UserError(f"{source} is not valid YAML: it is nested too deeply") from None
    except (yaml.YAMLError, *OF_VALUES) as error:
        raise UserError(f"{source} is not valid YAML: {' '.join(str(error).split())}") from None


def key_lines(content: bytes) -> dict[str, int]:
    """Line of every key in YAML text that `parse_yaml` reads, by its path with dots."""
    import yaml

    found: dict[str, int] = {}

    def visit(node: Any, prefix: str) -> None:
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                path = f"{prefix}{key.value}"
                found[path] = key.start_mark.line + 1
                visit(value, f"{path}.")

    visit(yaml.compose(content.decode("utf-8"), Loader=yaml.SafeLoader), "")
    return found


OF_VALUES = (ValueError, AttributeError, TypeError, OverflowError)
"""Errors of PyYAML for a value that is not of its tag, such as the dates 2024-13-01 and `!!timestamp x`."""
MERGE = "tag:yaml.org,2002:merge"
"""YAML's tag of the key `<<`, which may stand more than once."""


class _RepeatedKey(ValueError):
    """A key that stands twice in one mapping."""


@functools.cache
def _loader() -> type:
    """YAML's safe loader, which also refuses a mapping with the same key twice."""
    import yaml

    class Loader(yaml.SafeLoader):
        def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
            lines: dict[Any, int] = {}
            for key_node, _ in node.value if isinstance(node, yaml.MappingNode) else ():
                key, line = (key_node.tag, key_node.value), key_node.start_mark.line + 1
                if not isinstance(key_node, yaml.ScalarNode) or key_node.tag == MERGE:
                    continue
                if key in lines:
                    raise _RepeatedKey(
                        f"the key '{key_node.value}' stands in line {lines[key]} and again in line {line}; keep one of them"
                    )
                lines[key] = line
            return super().construct_mapping(node, deep)

    return Loader


def read_experiment(path: str | Path, overrides: Iterable[str] = ()) -> Experiment:
    """Read an experiment from a YAML file, then apply `section.key=value` overrides."""
    tree = read_yaml(path) or {}
    require(isinstance(tree, Mapping), "configuration", tree, "must be a mapping of sections")
    return experiment_from_dict(apply_overrides(found_beside(tree, Path(path).parent), overrides))


def write_yaml(tree: Any) -> str:
    """YAML text of plain values, keys in the order given."""
    import yaml

    return yaml.safe_dump(tree, sort_keys=False, allow_unicode=True)


def apply_overrides(tree: Mapping[str, Any], overrides: Iterable[str]) -> dict[str, Any]:
    """A copy of `tree` with `section.key=value` assignments applied; values are YAML.

    `recipe=NAME` sets all that the recipe says. Keys are checked by `experiment_from_dict`, not here. Raises
    `UserError` for a malformed one.
    """
    import yaml

    require(isinstance(tree, Mapping), "configuration", tree, "must be a mapping of sections")
    result = copy.deepcopy(dict(tree))
    for text in overrides:
        key, separator, value = text.partition("=")
        if not separator or not key:
            raise UserError(f"--set {text!r}: must look like section.key=value, for example model.heads=4")
        try:
            read = yaml.load(value, Loader=_loader())
        except _RepeatedKey as error:
            raise UserError(f"--set {text!r}: {error}") from None
        except (yaml.YAMLError, RecursionError, *OF_VALUES):
            raise UserError(f"--set {text!r}: the value is not valid YAML") from None
        assign(result, key.strip(), read)
    return result


def assign(tree: dict[str, Any], dotted: str, value: Any) -> None:
    """`set_key`, and for `recipe` every setting of the recipe that the tree's model has."""
    if dotted != "recipe":
        set_key(tree, dotted, value)
        return
    model = (tree.get("model") or {}).get("name", "fame")
    for section, settings in settings_of(value, str(model)).items():
        for key, setting in settings.items():
            set_key(tree, f"{section}.{key}", setting)


def set_key(tree: dict[str, Any], dotted: str, value: Any) -> None:
    """Set `section.key` in nested dictionaries, making sections that are missing."""
    *sections, last = dotted.split(".")
    for section in sections:
        if tree.get(section) is None:  # a section that is there but empty reads as None
            tree[section] = {}
        below = tree[section]
        require(isinstance(below, dict), section, below, f"is not a section, so '{dotted}' cannot be set")
        tree = below
    tree[last] = value


def flatten(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested dictionaries as one dictionary with dotted keys."""
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        flat |= flatten(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value}
    return flat


def section_from_dict(section: type, mapping: Any, name: str) -> Any:
    """Build and check one section."""
    require(isinstance(mapping, Mapping), name, mapping, "must be a mapping")
    return section(**_read_fields(section, mapping, name + "."))


_hints = functools.cache(typing.get_type_hints)


def _read_fields(cls: type, mapping: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    hints = _hints(cls)
    names = [f.name for f in dataclasses.fields(cls)]
    for key in mapping:
        if key not in names:
            removed = REMOVED.get(f"{prefix}{key}")
            raise UserError(f"unknown configuration key '{prefix}{key}': {removed or nearest(key, names)}")
    return {key: _convert(hints[key], value, prefix + key) for key, value in mapping.items()}


def _convert(hint: Any, value: Any, key: str) -> Any:
    """`value` as the annotated type, or a `UserError` that says which type `key` has."""
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        return section_from_dict(hint, value if value is not None else {}, key)
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):
        if value is None and type(None) in arguments:
            return None
        choices = [a for a in arguments if a is not type(None)]
        if choices == [float, str]:
            return _number_or_text(value, key)
        (hint,) = choices
        return _convert(hint, value, key)
    if origin is Literal:
        require(value in arguments, key, value, f"must be one of {', '.join(map(str, arguments))}")
        return value
    if origin is tuple:
        if isinstance(value, str) and arguments[0] is str:  # a search chooses among plain values
            value = [part.strip() for part in value.split(",")]
        require(isinstance(value, list | tuple), key, value, "must be a list")
        return tuple(_convert(arguments[0], v, key) for v in value)
    if origin is dict:
        require(isinstance(value, Mapping), key, value, "must be a mapping")
        return {str(k): _convert(arguments[1], v, f"{key}.{k}") for k, v in value.items()}
    if hint is float and isinstance(value, int | str) and not isinstance(value, bool):
        with contextlib.suppress(ValueError, OverflowError):
            value = float(value)  # YAML 1.1 reads 1e-3 as text
    if hint is float and isinstance(value, float):
        require(value == value and abs(value) != float("inf"), key, value, "must be a finite number")
    right_type = isinstance(value, hint) and not (hint is int and isinstance(value, bool))
    require(right_type, key, value, f"must be of type {hint.__name__}")
    return value


def _number_or_text(value: Any, key: str) -> float | str:
    """A number as a number, a date (which YAML reads as one) and everything else as text."""
    if isinstance(value, datetime.date):
        return str(value)
    require(
        isinstance(value, int | float | str) and not isinstance(value, bool), key, value, "must be a number or text"
    )
    return value if isinstance(value, str) else _convert(float, value, key)
