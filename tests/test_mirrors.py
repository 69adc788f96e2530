"""Tests mirror the modules: `tests/fame/x/test_y.py` is the test of `fame/x/y.py`.

A further test of a module has its name in front: `test_slot_ray.py` runs slots on real Ray. `test_main.py` is that of
`__main__.py`, and a test with the name of its folder is that of the package.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
TESTS = ROOT / "tests"
WITHOUT_TEST = {"tuning/study/lessons.py": "data"}
"""Modules without behaviour of their own, and the reason in one word."""
OF_NO_MODULE = {
    "fame/test_architecture.py": "imports",
    "fame/test_conformance.py": "promises of all models",
    "fame/test_paper.py": "equations",
    "fame/test_privacy.py": "texts",
    "fame/test_public.py": "public names",
    "fame/datasets/test_german.py": "a user",
    "tuning/test_german_hour.py": "a user",
    "tuning/test_secrets.py": "passwords",
}
"""Tests of what many modules do together, and the subject in a few words."""
RUN_TWICE = TESTS / "tuning" / "tracking" / "test_projection_postgres.py"
"""It imports the tests of the projection, to run them with another database."""


def modules() -> Iterator[Path]:
    for package in ("fame", "tuning"):
        for path in sorted((ROOT / package).rglob("*.py")):
            if path.name not in ("__init__.py", "__main__.py"):
                yield path.relative_to(ROOT)


def test_every_module_has_its_test():
    missing = {str(path) for path in modules() if not (TESTS / path.parent / f"test_{path.name}").exists()}
    assert missing == WITHOUT_TEST.keys()


def test_every_test_has_its_module():
    strangers = set()
    for package in ("fame", "tuning"):
        for path in sorted((TESTS / package).rglob("test_*.py")):
            folder, name = path.parent.relative_to(TESTS), path.stem.removeprefix("test_")
            of_command = name == "main" and (ROOT / folder / "__main__.py").exists()
            known = [module.stem for module in (ROOT / folder).glob("*.py")] + [folder.name]
            if not of_command and not any(f"{name}_".startswith(f"{module}_") for module in known):
                strangers.add(str(path.relative_to(TESTS)))
    assert strangers == OF_NO_MODULE.keys()


def test_no_test_imports_a_private_name_or_another_test():
    found = []
    for path in sorted(TESTS.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.ImportFrom) or node.module is None:
                continue
            parts = [*node.module.split("."), *(alias.name for alias in node.names)]
            ours = parts[0] in ("fame", "tuning", "cluster", "benchmarks", "tests")
            private = [part for part in parts if part.startswith("_") and not part.startswith("__")]
            test = parts[0] == "tests" and any(part.startswith("test_") for part in parts) and path != RUN_TWICE
            if ours and (private or test):
                found.append(f"{path.relative_to(ROOT)}: {node.module} {private}")
    assert not found
