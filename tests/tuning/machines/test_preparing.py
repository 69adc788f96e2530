"""Ray Data on a cluster of two machines prepares what this machine prepares."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks.generated_folder import generate
from fame.config import DataConfig
from fame.datasets import load_dataset
from fame.datasets.chunks import FileReader
from tests.fame.helpers import ROOT
from tuning.machines.preparing import engine

CLUSTER = """
from ray.cluster_utils import Cluster
head = {{"num_cpus": 1, "include_dashboard": False, "temp_dir": "{folder}", "object_store_memory": 10**8}}
cluster = Cluster(initialize_head=True, head_node_args=head)
cluster.add_node(num_cpus=1, object_store_memory=10**8)
cluster.wait_for_nodes()
print(cluster.address, flush=True)
input()
cluster.shutdown()
"""


def test_one_file_needs_no_cluster():
    reader = FileReader(config=DataConfig(name="own"), blanks=False)
    assert not list(engine("127.0.0.1:1", print)(reader, [lambda with_rating: iter(())]))


@pytest.mark.slow
def test_a_cluster_prepares_the_data_that_this_machine_prepares(tmp_path, monkeypatch):
    generate(tmp_path / "data", 30_000, rows_in_file=7_000)
    environment = {**os.environ, "RAY_AUTH_MODE": "disabled", "RAY_worker_niceness": "0", "PYTHONPATH": str(ROOT)}
    session = f"/tmp/fame-ray-{os.getpid()}"
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "env": environment}
    with subprocess.Popen([sys.executable, "-c", CLUSTER.format(folder=session)], **pipes) as cluster:
        address = cluster.stdout.readline().strip()
        done = subprocess.run(
            [sys.executable, "-m", "tuning.sweep", "--data", str(tmp_path / "data"), "--dry-run", "--address", address],
            cwd=tmp_path,
            env={**environment, "FAME_DATA": str(tmp_path / "there")},
            capture_output=True,
            text=True,
            timeout=600,
        )
        cluster.communicate("\n")
    shutil.rmtree(session, ignore_errors=True)
    assert done.returncode == 0, done.stderr
    assert "Ray Data reads 5 files on the cluster's 2 machines" in done.stderr
    assert "on this machine" not in done.stderr and "Traceback" not in done.stderr
    here, there = (loaded(tmp_path / "data", tmp_path / name, monkeypatch) for name in ("here", "there"))
    assert there.fingerprint == here.fingerprint and there.statistics == here.statistics and there.notes == here.notes
    assert np.array_equal(there.sequences.values, here.sequences.values)


def loaded(data: Path, cache: Path, monkeypatch: pytest.MonkeyPatch):
    """The data as they are in a cache, or newly prepared into it."""
    monkeypatch.setenv("FAME_DATA", str(cache))
    was_there = cache.exists()
    config = DataConfig(name="data", path=str(data))
    dataset = load_dataset(config, report=lambda line: None)
    assert len(list((cache / "prepared").iterdir())) == 1 and was_there == (cache.name == "there")
    return dataset
