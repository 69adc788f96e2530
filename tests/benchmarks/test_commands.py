"""Every benchmark starts, and the GPU's can be tried on a CPU."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.__main__ import SETS

ROOT = Path(__file__).parents[2]
NAMES = sorted(
    {name for names in SETS.values() for name in names}
    | {"all_users", "models", "recbole", "sweep_scale", "text_start"}
)


def python(*args: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-m", *args], cwd=ROOT, capture_output=True, text=True, check=False)


def test_every_file_with_a_main_is_in_a_set_or_is_known_to_take_long():
    with_main = {file.stem for file in (ROOT / "benchmarks").glob("*.py") if "def main()" in file.read_text()}
    assert with_main - {"__main__", "page"} == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_every_benchmark_explains_itself(name):
    done = python(f"benchmarks.{name}", "--help")
    assert done.returncode == 0, done.stderr
    assert "usage" in done.stdout


def test_the_gpu_benchmark_can_be_tried_on_a_cpu_and_leaves_no_result():
    result = ROOT / "benchmarks" / "results" / "gpu.json"
    before = result.exists() and result.stat().st_mtime
    done = python("benchmarks.gpu", "--device", "cpu", "--users", "30", "--epochs", "1")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("epoch ÷ its roofline") == 3
    assert (result.exists() and result.stat().st_mtime) == before


def test_the_gpu_benchmark_without_a_gpu_says_what_to_do():
    done = python("benchmarks.gpu", "--device", "cuda")
    assert done.returncode == 2
    assert "--device cpu --users 300" in done.stderr and "Traceback" not in done.stderr
