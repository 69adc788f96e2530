"""The files of `docs/EXTENDING.md` are put where it says, in a copy of the program, and run."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import pytest

from fame.registry import models
from tests.fame.conformance import MODEL_CHECKS

ROOT = Path(__file__).parent.parent
FILES = dict(
    re.findall(
        r"`([\w/.]+)`:\n\n```(?:python|yaml)\n(.*?)^```",
        (ROOT / "docs" / "EXTENDING.md").read_text(encoding="utf-8"),
        re.MULTILINE | re.DOTALL,
    )
)
MODEL, DATASET, SPACE = "fame/extensions/nextitnet.py", "fame/extensions/ml_10m.py", "nextitnet.yaml"


@pytest.fixture(scope="module")
def program(tmp_path_factory) -> Path:
    """A copy of the program with the document's files in it, and a small archive of the dataset beside it."""
    folder = tmp_path_factory.mktemp("program")
    for package in ("fame", "tuning"):
        shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", folder)  # says which versions a sweep needs
    for name, text in FILES.items():
        (folder / name).write_text(text, encoding="utf-8")
    random = np.random.default_rng(0)
    rows = [
        f"{user}::{item}::{random.choice([3.5, 4, 5])}::{1000 + place}"
        for user in range(1, 31)
        for place, item in enumerate(random.permutation(20)[:9] + 1)
    ]
    movies = [f"{item}::Amélie {item} (200{item % 10})::Comedy|Romance" for item in range(1, 21)]
    (folder / "downloads").mkdir()
    with zipfile.ZipFile(folder / "downloads" / "ml-10m.zip", "w") as archive:
        archive.writestr("ml-10M100K/ratings.dat", "\n".join(rows) + "\n")
        archive.writestr("ml-10M100K/movies.dat", "\n".join(movies) + "\n")
    return folder


def run(folder: Path, *words: str, **environment: str) -> str:
    environment = {**os.environ, "FAME_DATA": str(folder / "cache"), "PYTHONPATH": "", **environment}
    done = subprocess.run(
        [sys.executable, *words], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_document_has_the_files_that_are_tested():
    assert set(FILES) == {MODEL, DATASET, SPACE}


def test_the_dataset_is_found_and_read(program):
    assert "ml-10m" in run(program, "-m", "fame.datasets", "--list")
    shown = run(program, "-m", "fame.datasets", "ml-10m", "--data-dir", "downloads")
    assert "30" in shown and "20" in shown


def test_the_model_trains_on_it_and_recommends(program):
    options = ["--set", "model.name=nextitnet", "--set", "model.dim=8", "--set", "train.epochs=2"]
    options += ["--dataset", "ml-10m", "--data-dir", "downloads", "--set", "data.recipe=liked", "--output", "out"]
    run(program, "-m", "fame.train", *options)
    metrics = json.loads((program / "out" / "best" / "metrics.json").read_text(encoding="utf-8"))
    assert metrics["dataset"]["recipe"] == "liked" and metrics["epochs"] == 2
    assert "Amélie" in run(program, "-m", "fame.recommend", "--model", "out/best", "--history", "3,5")


def test_a_sweep_of_it_can_be_planned(program):
    words = ["--dataset", "ml-10m", "--data-dir", "downloads", "--model", "nextitnet", "--space", "nextitnet.yaml"]
    plan = run(program, "tuning/sweep.py", *words, "--dry-run")
    assert "nextitnet" in plan and "model.width" in plan


@pytest.mark.slow
def test_a_sweep_trains_it_and_registers_a_model_that_serves_without_the_program(program, tmp_path):
    words = ["--dataset", "ml-10m", "--data-dir", "downloads", "--model", "nextitnet", "--space", "nextitnet.yaml"]
    with tempfile.TemporaryDirectory(prefix="fr-", dir="/tmp") as ray:  # Ray's sockets need short paths
        run(program, "tuning/sweep.py", *words, "--trials", "1", "--epochs", "1", "--name", "own", RAY_TMPDIR=ray)
    assert json.loads((program / "runs/own/best/metrics.json").read_text(encoding="utf-8"))["epochs"] == 1
    (code,) = (path for path in program.rglob("code/fame/extensions/nextitnet.py"))
    model = code.parents[3]
    ask = f"import mlflow.pyfunc; print(mlflow.pyfunc.load_model({str(model)!r}).predict([{{'history': [3, 5], 'top': 2}}]))"
    assert run(tmp_path, "-W", "ignore", "-c", ask).count("Amélie") == 2


@pytest.fixture
def nextitnet(program):
    """The model, registered in this process for the length of a test."""
    models.names()
    spec = importlib.util.spec_from_file_location("nextitnet", program / MODEL)
    sys.modules["nextitnet"] = module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield "nextitnet"
    del models.entries["nextitnet"], sys.modules["nextitnet"]


@pytest.mark.parametrize("check", MODEL_CHECKS, ids=lambda check: check.__name__)
def test_the_model_keeps_every_promise(check, nextitnet, tmp_path):
    check(nextitnet, tmp_path)
