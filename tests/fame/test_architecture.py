"""Imports run one way: fame ◄ tuning ◄ cluster, and the core needs torch alone."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TRACKERS = {"ray", "optuna", "mlflow"}
FORBIDDEN = {"fame": {"tuning", "cluster"} | TRACKERS, "tuning": {"cluster"}}
HEAVY = ["pandas", "pyarrow", "transformers", "ray", "optuna", "mlflow", "safetensors", "yaml"]


def imported(path: Path) -> Iterator[str]:
    """Top-level package of every import in a file, inside functions too."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield (node.module or "").split(".")[0]


@pytest.mark.parametrize("package", FORBIDDEN)
def test_no_file_imports_a_package_that_builds_on_its_own(package):
    files = sorted((ROOT / package).rglob("*.py"))
    assert files
    found = {str(path.relative_to(ROOT)): bad for path in files if (bad := FORBIDDEN[package] & set(imported(path)))}
    assert not found


def test_training_model_and_evaluation_import_nothing_but_torch_and_numpy():
    code = f"import sys, fame.fit, fame.model, fame.evaluate; print([m for m in {HEAVY} if m in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
