"""Ray Data on a cluster of two machines prepares what this machine prepares."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from benchmarks.generated_folder import generate
from fame.config import DataConfig
from fame.datasets import load_dataset
from fame.datasets.preparation.chunks import FileReader
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
ENVIRONMENT = {**os.environ, "RAY_AUTH_MODE": "disabled", "RAY_worker_niceness": "0", "PYTHONPATH": str(ROOT)}


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """A cluster of two machines with a CPU each."""
    session = f"/tmp/fame-ray-{os.getpid()}"
    command = [sys.executable, "-c", CLUSTER.format(folder=session)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=ENVIRONMENT
    ) as cluster:
        yield cluster.stdout.readline().strip()
        cluster.communicate("\n")
    shutil.rmtree(session, ignore_errors=True)


def test_one_file_needs_no_cluster():
    reader = FileReader(config=DataConfig(name="own"), blanks=False)
    assert not list(engine("127.0.0.1:1", print)(reader, [lambda with_rating: iter(())]))


@pytest.mark.slow
def test_a_cluster_prepares_the_data_that_this_machine_prepares(address, tmp_path, monkeypatch):
    generate(tmp_path / "data", 30_000, rows_in_file=7_000)
    options = ["--data", str(tmp_path / "data"), "--dry-run", "--address", address]
    done = run(["-m", "tuning.sweep", *options], tmp_path, FAME_DATA=str(tmp_path / "there"))
    assert "Ray Data reads 5 files on the cluster's 2 machines" in done.stderr
    assert not [word for word in ("on this machine", "Traceback", "Progress bars", " INFO ") if word in done.stderr]
    here, there = (loaded(tmp_path / "data", tmp_path / name, monkeypatch) for name in ("here", "there"))
    assert there.fingerprint == here.fingerprint and there.statistics == here.statistics and there.notes == here.notes
    assert np.array_equal(there.sequences.values, here.sequences.values)


FAULTY = """
import os, sys
from fame.config import DataConfig
from fame.datasets.entry import Chunk, Raw
from fame.datasets.preparation.prepare import prepare
from fame.errors import UserError
from tuning.machines.preparing import engine

here = os.getpid()

def file(number):
    def chunks(with_rating):
        yield Chunk(user=["u"] * 4, item=[f"{{number}} {{k}}" for k in range(4)], time=[100 * number + k for k in range(4)])
        if number == 3 and os.getpid() != here:
            raise {error}
    return chunks

raw = Raw(interactions=[file(number) for number in range(5)], items=lambda: None)
config = DataConfig(name="own", min_rating=0, core=1, min_history=3, max_history=0, repeats="keep")
prepared = prepare(raw, config, engine(sys.argv[1], print))
print(prepared.item_ids[prepared.values - 1].tolist())
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("error", "line"),
    [
        ("UserError('no such file')", "1 of 5 files are read on this machine; another one said: no such file"),
        ("OSError('no room')", "Ray Data broke off (no room); the files that are left are read on this machine"),
    ],
)
def test_what_a_machine_cannot_read_is_read_here(error, line, address, tmp_path):
    done = run(["-c", FAULTY.format(error=error), address], tmp_path)
    rows = [f"{number} {k}" for number in range(5) for k in range(4)]
    assert done.stdout.splitlines() == ["Ray Data reads 5 files on the cluster's 2 machines", line, str(rows)]
    assert "Traceback" not in done.stderr


def run(arguments: list[str], folder: Path, **environment: str) -> subprocess.CompletedProcess:
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env={**ENVIRONMENT, **environment},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    return done


def loaded(data: Path, cache: Path, monkeypatch: pytest.MonkeyPatch):
    """The data as they are in a cache, or newly prepared into it."""
    monkeypatch.setenv("FAME_DATA", str(cache))
    was_there = cache.exists()
    dataset = load_dataset(DataConfig(name="data", path=str(data)), report=lambda line: None)
    assert len(list((cache / "prepared").iterdir())) == 1 and was_there == (cache.name == "there")
    return dataset
