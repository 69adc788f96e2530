"""The wheel: built from the files of the repository, installed in a fresh environment, used from an empty folder."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

from fame import __version__
from tests.commands import write_config

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parent.parent
PACKAGES = ("fame", "tuning", "cluster")


def run(*command: str | Path, cwd: Path, **environment: str) -> str:
    """Run a command without what leads Python to this checkout; return its output."""
    kept = {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "VIRTUAL_ENV"}}
    variables = {**kept, "PATH": "/usr/bin:/bin", "OMP_NUM_THREADS": "1", **environment}
    done = subprocess.run(command, cwd=cwd, env=variables, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel of a copy: a build leaves files in its folder, and finds those of earlier builds."""
    work = tmp_path_factory.mktemp("wheel")
    leave = shutil.ignore_patterns("__pycache__", "build", "*.egg-info")
    for name in PACKAGES:
        shutil.copytree(ROOT / name, work / "source" / name, ignore=leave)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, work / "source" / name)
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "wheel", "--no-deps", "--no-build-isolation")
    run(*pip, "--wheel-dir", work, work / "source", cwd=work)
    (built,) = work.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def fame(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program `fame` of an environment that has the wheel, and sees the packages installed here."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, symlinks=True, with_pip=False)
    python = folder / "bin" / "python"
    (site,) = folder.glob("lib/python*/site-packages")
    (site / "installed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", python, "install", "--no-deps")
    run(*pip, "--no-index", wheel, cwd=folder)
    return folder / "bin" / "fame"


def test_the_wheel_has_every_file_of_the_packages_that_is_no_launcher(wheel):
    with zipfile.ZipFile(wheel) as file:
        inside = {name for name in file.namelist() if name.split("/")[0] in PACKAGES}
    suffixes = {".py", ".yaml", ".html", ".typed"}
    files = [path for name in ("fame", "tuning") for path in (ROOT / name).rglob("*") if path.suffix in suffixes]
    assert inside >= {str(path.relative_to(ROOT)) for path in files}
    assert {"tuning/configs/paper.yaml", "tuning/configs/best/beauty-sasrec-text.yaml", "fame/py.typed"} <= inside
    assert not any("tests" in name for name in inside)


def test_the_commands_work_from_an_empty_folder(fame, tmp_path):
    cache = {"FAME_DATA": str(tmp_path / "cache")}
    folder = tmp_path / "empty"
    folder.mkdir()
    assert run(fame, "--version", cwd=folder) == f"fame {__version__}\n"
    assert run(fame, "train", "--help", cwd=folder).startswith("usage: fame train [")
    assert not list(folder.iterdir())
    write_config(folder / "tiny.yaml")
    trained = run(
        fame, "train", "--config", "tiny.yaml", "--set", "train.epochs=1", "--output", "m", cwd=folder, **cache
    )
    assert "seed 0: best epoch 1 of 1" in trained
    items = run(fame, "recommend", "--model", "m/best", "--history", "1,2,3", "--top", "3", cwd=folder)
    assert len(items.splitlines()) == 4
    for space in ("paper", "fame"):
        plan = run(fame, "sweep", "--dataset", "synthetic", "--space", space, "--dry-run", cwd=folder, **cache)
        assert f"space      {space}: " in plan


TEN_LINES = """
import fame
import pandas as pd
from tuning import tune

rows = [(f"c{user}", f"SKU-{(user + 2 * step) % 30}", step) for user in range(60) for step in range(8)]
clicks = pd.DataFrame(rows, columns=["customer", "sku", "when"])
products = pd.DataFrame([(f"SKU-{n}", f"Product {n}", "ab"[n % 2]) for n in range(30)], columns=["sku", "Product Name", "Category"])

data = fame.Dataset.from_pandas(
    clicks, user="customer", item="sku", time="when", items=products, title="Product Name", facets=["Category"]
)
model = fame.fit(data, model="fame", epochs=2)
print(model.evaluate())
print(model.recommend(users=data.users, k=10))
print(model.recommend(histories=[["SKU-1", "SKU-2"]], k=5, exclude=["SKU-9"]))
model.save("shop")
fame.load("shop")
sweep = tune(data, model="fame", trials=1, space="quick", epochs=1, backbone={"epochs": 0}, quiet=True)
print(sweep.best_model, sweep.trials, sweep.study, sweep.report(), sep="\\n")
"""


def test_the_ten_lines_run_in_a_script(fame, tmp_path):
    (tmp_path / "ten.py").write_text(TEN_LINES)
    variables = {"FAME_DATA": str(tmp_path / "cache"), "RAY_TMPDIR": "/tmp"}
    out = run(fame.with_name("python"), "ten.py", cwd=tmp_path, **variables)
    assert "ndcg@10" in out and "[600 rows x 5 columns]" in out and "Product " in out
    assert "Model(fame on own: ndcg@10 validation 0." in out and "Page('runs/own-fame-" in out
    assert run(fame.with_name("python"), "-c", "import fame; help(fame)", cwd=tmp_path).count("recommend(") > 1
    assert {"shop", "runs", "mlflow.db"} <= {path.name for path in tmp_path.iterdir()}


def test_a_sweep_runs_and_its_printed_lines_do(fame, tmp_path):
    variables = {"FAME_DATA": str(tmp_path / "cache"), "RAY_TMPDIR": "/tmp"}
    words = ("--dataset", "synthetic", "--set", "data.size={users: 60, items: 40}", "--set", "model.dim=16")
    words += ("--set", "backbone.epochs=0", "--set", "train.precision=float32", "--trials", "1", "--epochs", "1")
    out = run(fame, "sweep", *words, "--name", "w", cwd=tmp_path, **variables)
    lines = dict(line.split(maxsplit=1) for line in out.splitlines() if line.startswith(("again ", "use ")))
    assert shlex.split(lines["use"])[:2] == [str(fame), "recommend"]
    assert len(run(*shlex.split(lines["use"]), cwd=tmp_path, **variables).splitlines()) == 11
    resumed = run(fame, "sweep", "--resume", "--name", "w", cwd=tmp_path, **variables)
    assert "best    " in resumed
