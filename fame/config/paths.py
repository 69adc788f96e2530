"""Paths in a configuration file: written without the folders of this machine, and found again beside the file.

A trained model may be handed on, so its files hold no absolute paths. A relative path of a configuration is that of the
working directory or, if nothing is there, of the file's folder.
"""

from __future__ import annotations

import glob
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

PATHS = {"data": ("dir", "path", "items"), "text": ("encoder",)}
"""Settings that name files or folders of this machine. `data.path` and `data.items` may name several, with commas."""


def near(tree: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Return a configuration whose absolute paths are seen from `folder`, where it will be written."""
    return _with_places(
        tree, lambda place: os.path.relpath(place, folder.absolute()) if os.path.isabs(place) else place
    )


def bare(tree: Mapping[str, Any]) -> dict[str, Any]:
    """Return a configuration that has of each absolute path the last name alone, for other machines."""
    return _with_places(tree, lambda place: os.path.basename(place.rstrip("/")) if os.path.isabs(place) else place)


def found_beside(tree: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Return a configuration of `folder` whose relative paths lead to what lies there, if nothing lies here."""

    def found(place: str) -> str:
        there = str(folder.absolute() / place)
        return os.path.normpath(there) if place and not glob.glob(place) and glob.glob(there) else place

    return _with_places(tree, found)


def _with_places(tree: Mapping[str, Any], change: Callable[[str], str]) -> dict[str, Any]:
    """Change every local path of a configuration. Values of a wrong type stay, for the checks that follow."""
    changed = dict(tree)
    for section, keys in PATHS.items():
        if isinstance(values := tree.get(section), Mapping):
            texts = {key: value for key in keys if isinstance(value := values.get(key), str)}
            changed[section] = {**values, **{key: _each(text, change) for key, text in texts.items()}}
    return changed


def _each(text: str, change: Callable[[str], str]) -> str:
    whole = change(text) if "://" not in text else text
    if "," not in text or (
        whole != text and (os.path.exists(text) or os.path.exists(whole))
    ):  # a comma in a file's name
        return whole
    return ",".join(part if "://" in part else change(part) for part in text.split(","))
