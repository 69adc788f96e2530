"""Recommending on a cluster: the same rows as on this machine."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from pyarrow import parquet

from fame import recommend
from fame.config.tree import experiment_from_dict
from fame.datasets import load_dataset
from fame.runtime.parallel import Workers
from fame.serving.export import export_model
from fame.training.fit import fit, read_trained
from fame.training.resolve import resolve
from tests.commands import TINY, call
from tests.fame.helpers import CPU, ROOT


def test_a_cluster_that_does_not_answer_is_one_line(tmp_path):
    options = ["--all-users", "--out", tmp_path / "recs.parquet", "--address", "127.0.0.1:1"]
    done = call(recommend.main, "--model", exported(tmp_path), *options)
    assert done.code == 2 and "error: --address 127.0.0.1:1: no Ray cluster answers there" in done.err
    assert {path.name for path in tmp_path.iterdir()} == {"best", "training"}


HEAD = """
import ray
ray.init(num_cpus=2, include_dashboard=False, logging_level="ERROR", _temp_dir="{folder}")
print(ray.get_runtime_context().gcs_address, flush=True)
input()
"""


@pytest.mark.slow
def test_a_cluster_writes_the_rows_that_this_machine_writes(tmp_path):
    folder, environment = exported(tmp_path), {**os.environ, "RAY_AUTH_MODE": "disabled"}
    session = f"/tmp/fame-ray-{os.getpid()}"
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "env": environment}
    with subprocess.Popen([sys.executable, "-c", HEAD.format(folder=session)], **pipes) as head:
        address = head.stdout.readline().strip()
        for name, where in (("here", []), ("there", ["--address", address])):
            options = ["--all-users", "--out", str(tmp_path / f"{name}.parquet"), "--top", "4", *where]
            done = subprocess.run(
                [sys.executable, "-m", "fame.recommend", "--model", str(folder), *options],
                cwd=ROOT,
                env=environment,
                capture_output=True,
                text=True,
                timeout=900,
            )
            assert done.returncode == 0, done.stderr
        head.communicate("\n")
    shutil.rmtree(session, ignore_errors=True)
    here, there = (parquet.read_table(tmp_path / f"{name}.parquet") for name in ("here", "there"))
    assert here.drop_columns("score") == there.drop_columns("score") and len(here) == 4 * 40
    assert here["score"].to_pylist() == pytest.approx(there["score"].to_pylist(), abs=1e-5)


def exported(work: Path) -> Path:
    experiment = experiment_from_dict({**TINY, "train": {**TINY["train"], "epochs": 1}})
    dataset = load_dataset(experiment.data)
    for _ in fit(resolve(experiment, dataset, CPU, 1), dataset.sequences, work / "training", Workers(device=CPU)):
        pass
    export_model(work / "best", read_trained(work / "training"), dataset)
    return work / "best"
