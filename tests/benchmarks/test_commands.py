"""Every benchmark runs to its end at a tiny size, and the GPU's can be tried on a CPU."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.__main__ import SETS
from benchmarks.peers.ask import LIBRARIES

ROOT = Path(__file__).parents[2]
NAMES = sorted(
    {name for names in SETS.values() for name in names}
    | {"all_users", "cold_items", "models", "prepare_large", "recbole", "sweep_scale", "text_start", "time_to_quality"}
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


PEER = """\
import json
print("a line of the library's own")
seconds = {"train_seconds_per_epoch": 1.0, "train_cpu_seconds_per_epoch": 1.0, "unpadded_cpu_seconds_per_epoch": 0.5}
print(json.dumps({**seconds, "padding": 0.8, "evaluate_seconds_all": 1.0}))
"""
"""Stands in for RecBole, RecTools and RePlay, which need environments of their own."""


def results() -> dict[str, float]:
    return {file.name: file.stat().st_mtime for file in (ROOT / "benchmarks" / "results").glob("*.json")}


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(set(NAMES) - {"cold_items", "gpu", "recbole", "text_start"}))
def test_every_benchmark_runs_to_its_end_at_a_tiny_size_and_keeps_no_result(name: str) -> None:
    before = results()
    done = python(f"benchmarks.{name}", "--tiny", *(["--models", "fame"] if name == "models" else []))
    assert done.returncode == 0, done.stderr
    assert "measured" in done.stdout and results() == before


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "row"), [("text_start", "fame+: test, all"), ("cold_items", "hidden targets among all items, text cosine")]
)
def test_so_do_those_that_train_from_text(tmp_path: Path, name: str, row: str) -> None:
    done = python(f"benchmarks.{name}", "--tiny", "--output", str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert row in done.stdout


def stand_in(folder: Path) -> Path:
    """An interpreter that answers as a library's script does."""
    (folder / "peer.py").write_text(PEER)
    peer = folder / "python"
    peer.write_text(f"#!/bin/sh\nexec '{sys.executable}' '{folder / 'peer.py'}'\n")
    peer.chmod(0o755)
    return peer


def test_the_benchmarks_against_recbole_run_with_a_stand_in_for_it(tmp_path: Path) -> None:
    peer = stand_in(tmp_path)
    for words in (
        ("benchmarks.recbole", "--rounds", "1"),
        ("benchmarks.models", "--models", "sasrec", "--rounds", "1"),
    ):
        done = python(*words, "--tiny", "--python", str(peer))
        assert done.returncode == 0, done.stderr
        assert "RecBole" in done.stdout


def test_so_do_those_against_all_libraries(tmp_path: Path) -> None:
    peer = stand_in(tmp_path)
    done = python("benchmarks.peers", "--rounds", "1", "--tiny", *(f"--{name}={peer}" for name in LIBRARIES))
    assert done.returncode == 0, done.stderr
    for library in LIBRARIES.values():
        assert f"{library}, padding" in done.stdout and f"{library} without padding in the loss ÷ ours" in done.stdout


def test_peers_that_are_not_named_are_one_line() -> None:
    done = python("benchmarks.peers")
    assert done.returncode == 2 and "no library is named" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.slow
def test_all_of_a_set_run_one_after_the_other(tmp_path: Path) -> None:
    """The command behind `make bench`, with one member of its set."""
    code = "import sys; from benchmarks import __main__ as b; b.SETS['cpu'] = {'evaluation': ()}; sys.exit(b.main())"
    done = subprocess.run([sys.executable, "-c", code, "cpu", "--tiny"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "\nevaluation\n" in done.stdout


@pytest.mark.slow
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
