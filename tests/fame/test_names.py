"""Public names are imported when they are used."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


HEAVY = [
    "torch",
    "numpy",
    "pandas",
    "pyarrow",
    "tqdm",
    "yaml",
    "safetensors",
    "transformers",
    "ray",
    "optuna",
    "mlflow",
]


def test_importing_the_packages_imports_nothing_heavy():
    code = f"import sys, fame, tuning; print([m for m in {HEAVY} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
