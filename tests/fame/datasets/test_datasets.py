"""The cache of prepared data, the fingerprint, and what a dataset offers."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile

from fame.config import DataConfig
from fame.registry import datasets
from tests.fame.datasets.files import SMALL, load_config


def test_imports_stay_light(write, tmp_path):
    own = {"name": "own", "core": 1, "path": write("a.csv", "user,item,time", "1,1,1", "1,2,2", "1,3,3")}
    zipped = {"name": "ml-20m", "core": 1, "min_history": 3, "dir": str(tmp_path)}
    with zipfile.ZipFile(tmp_path / "ml-20m.zip", "w") as file:
        file.writestr("ml-20m/ratings.csv", "userId,movieId,timestamp,rating\n1,1,1,5\n1,2,2,5\n1,3,3,5\n")
    for settings in (own, zipped):
        load_config(DataConfig(**settings))
    load_config()
    code = (
        "import sys, fame.datasets\n"
        "heavy = {'pandas', 'pyarrow', 'ray', 'mlflow', 'transformers', 'torch'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
        "from fame.config import DataConfig\n"
        f"for settings in ({own}, {zipped}, {{'name': 'synthetic', 'size': {SMALL.size}}}):\n"
        "    fame.datasets.load_dataset(DataConfig(**settings))\n"
        "heavy |= {'filelock', 'rich', 'tqdm'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env=os.environ)


def test_a_new_dataset_is_one_registration(monkeypatch):
    monkeypatch.setattr(datasets, "entries", {**datasets.entries, "mine": datasets.get("synthetic")})
    assert load_config(DataConfig(name="mine")).config.name == "mine"
