"""Tests use what a module shows: no test takes a private name from another module, of the program or of the tests."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
OURS = ("fame", "tuning", "cluster", "benchmarks", "tests")
OVERRIDDEN = ("_initialize_and_run_controller", "_create_placement_group")
"""Ray's own names, which classes of ours override."""


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


def private_uses(source: str) -> Iterator[tuple[int, str]]:
    """Yield line and name of every private name that a file takes from a module of ours.

    It takes one by an import, by an attribute of something imported (`module._name`), or by patching it.
    """
    tree = ast.parse(source)
    imported: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.split(".")[0] in OURS:
                    imported.add((alias.asname or alias.name).split(".")[0])
        elif isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] in OURS:
            imported |= {alias.asname or alias.name for alias in node.names}
            names = (*node.module.split("."), *(alias.name for alias in node.names))
            yield from ((node.lineno, name) for name in names if is_private(name))
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and is_private(node.attr) and root_of(node.value) in imported:
            yield node.lineno, node.attr
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "setattr":
            where, what = (*node.args, None, None)[:2]
            if isinstance(where, ast.Name) and where.id in imported and isinstance(what, ast.Constant):
                patched = str(what.value)
            elif isinstance(where, ast.Constant) and str(where.value).split(".")[0] in OURS:
                patched = str(where.value).rpartition(".")[2]
            else:
                continue
            if is_private(patched):
                yield node.lineno, patched


def root_of(node: ast.expr) -> str | None:
    """Return the name that a chain of attributes begins with."""
    while isinstance(node, ast.Attribute):
        node = node.value
    return node.id if isinstance(node, ast.Name) else None


def test_no_test_takes_a_private_name_from_another_module():
    found = [
        f"{path.relative_to(ROOT)}:{line}: {name}"
        for path in sorted((ROOT / "tests").rglob("*.py"))
        for line, name in private_uses(path.read_text(encoding="utf-8"))
        if name not in OVERRIDDEN
    ]
    assert not found, "\n".join(found)


def test_private_names_are_found_however_they_are_taken():
    source = """
from tests.helpers import _secret, shown
from fame.registry import models
import tuning.plan as plan
import torch
models._entries["fame"]
plan.options._parser()
torch._C
shown.__doc__
def test(monkeypatch):
    monkeypatch.setattr(plan, "_name", 1)
    monkeypatch.setattr("tuning.plan._other", 1)
    monkeypatch.setattr("torch._C", 1)
"""
    assert sorted(name for _, name in private_uses(source)) == ["_entries", "_name", "_other", "_parser", "_secret"]
