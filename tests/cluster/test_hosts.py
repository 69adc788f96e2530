"""Three hosts with their own addresses, a job from a fourth: the doctor, and a sweep from which a worker is cut off."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.cluster.hosts import STORAGE, missing, wait_until
from tests.cluster.ray_hosts import TRACKING, WORKERS, RayHosts
from tests.tuning.sweeps import TINY, Sweeps, assert_agree

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(missing() is not None, reason=str(missing())),
]
GOOD = ("--storage", f"{STORAGE}/runs", "--tracking-uri", TRACKING)
TRIALS, EPOCHS = 6, 150
"""Enough work: the node that was lost is back before the others have done all."""


def write_files(folder: Path) -> tuple[str, ...]:
    """Interactions and a space in `/tmp` of one host; the options that name them there."""
    generator = np.random.default_rng(0)
    rows = [f"u{user},i{item},{time}" for user in range(200) for time, item in enumerate(generator.choice(60, 12))]
    (folder / "clicks.csv").write_text("\n".join(["user,item,timestamp", *rows, ""]))
    (folder / "space.yaml").write_text(
        "base: {model: {dim: 16, heads: 2}, backbone: {epochs: 0}, train: {precision: float32, patience: 0}}\n"
        "search: {train.lr: {low: 1.0e-3, high: 1.0e-2, log: true}, model.experts: {choices: [1, 2, 4]}}\n"
    )
    return (
        "--data",
        "/tmp/clicks.csv",
        "--columns",
        "user=user,item=item,time=timestamp",
        "--space",
        "/tmp/space.yaml",
    )


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RayHosts]:
    """The cluster with both workers; the second one has another version of a package."""
    folder = tmp_path_factory.mktemp("hosts")
    with RayHosts(folder) as cluster:
        other = folder / "worker-2/tmp/other/optuna-4.0.0.dist-info"
        other.mkdir(parents=True)
        (other / "METADATA").write_text("Metadata-Version: 2.1\nName: optuna\nVersion: 4.0.0\n")
        cluster.join("worker-1")
        cluster.join("worker-2", PYTHONPATH="/tmp/other")
        yield cluster
    shutil.rmtree(folder)


def test_the_doctor_names_the_node_and_the_fault(cluster):
    code, said = cluster.doctor("--storage", "/tmp/not-shared", "--tracking-uri", "http://head:5001")
    assert code == 1
    found = "\n".join(said["failure"])
    assert "packages worker-2 (10.77.0.3): optuna 4.0.0 (needs " in found
    assert "versions worker-2 (10.77.0.3): optuna 4.0.0 (here " in found
    assert (
        "storage worker-1 (10.77.0.2), worker-2 (10.77.0.3): does not see the folder that was made from here" in found
    )
    assert "tracking MLflow at 'http://head:5001' is not reachable" in found
    assert len(said["failure"]) == 4
    assert "warning" not in said


def test_the_doctor_finds_nothing_on_a_good_cluster(cluster):
    cluster.join("worker-2")
    code, said = cluster.doctor(*GOOD)
    assert code == 0, said
    assert said["0"] == ["failures, 0 warnings"]
    assert "nodes 3 answer: head (10.77.0.1), worker-1 (10.77.0.2), worker-2 (10.77.0.3)" in said["ok"]
    assert f"storage all 3 nodes: {STORAGE}/runs is written, and read by all others" in said["ok"]
    assert not (cluster.shared / "runs").exists()  # it leaves nothing


def test_a_sweep_goes_on_while_a_worker_is_cut_off_and_comes_back(cluster):
    sweeps = Sweeps(cluster.shared)
    lost = cluster.hosts["worker-2"]
    files = write_files(cluster.head.folder / "tmp")  # which no other host has
    job = cluster.submit(*files, "--trials", str(TRIALS), "--epochs", str(EPOCHS), "--scheduler", "none", "--name", "s")

    wait_until(lambda: lost.processes("RayTrainWorker") and sweeps.epochs("s") >= 2, what="for a trial on worker-2")
    cluster.hosts.cut("worker-2")
    wait_until(lambda: cluster.alive() == {"head", "worker-1"}, what="for Ray to give worker-2 up")
    before = sweeps.epochs("s")
    wait_until(lambda: sweeps.epochs("s") > before, what="for an epoch without worker-2")
    cluster.hosts.mend("worker-2")
    wait_until(lambda: not lost.processes("raylet/raylet"), what="for the lost node's Ray to end by itself")
    cluster.join("worker-2")
    wait_until(lambda: lost.processes("RayTrainWorker") or job.poll() is not None, what="for a trial on worker-2")
    assert job.poll() is None, "the sweep ended before worker-2 had a trial again"

    out, _ = job.communicate(timeout=1200)
    assert job.returncode == 0, out
    assert f"s: {TRIALS} trials ({TRIALS} finished)" in out
    trials = sweeps.study("s")
    assert [trial.state.name for trial in trials] == ["COMPLETE"] * TRIALS
    assert all(list(trial.intermediate_values) == list(range(1, EPOCHS + 1)) for trial in trials)
    assert_agree(sweeps, "s")
    parent, runs = sweeps.runs("s")
    assert [parent.info.status, *(run.info.status for run in runs.values())] == ["FINISHED"] * (TRIALS + 1)
    assert (cluster.shared / "runs/s/best/model.safetensors").stat().st_size > 0
    for host in WORKERS:  # the dataset came from the driver: nobody else prepared it
        assert not (cluster.hosts[host].folder / "tmp/home/.cache/fame").exists()


def test_a_trial_trains_on_two_hosts_at_once(cluster):
    job = cluster.submit(*TINY, "--trials", "1", "--epochs", "2", "--workers", "2", "--name", "two")
    both: list[bool] = []

    def ended() -> bool:
        both.append(all(cluster.hosts[name].processes("RayTrainWorker") for name in WORKERS))
        return job.poll() is not None

    wait_until(ended, what="for the sweep")
    out, _ = job.communicate()
    assert job.returncode == 0, out
    assert any(both)
    assert "two: 1 trials (1 finished)" in out


def test_the_doctor_does_not_wait_for_a_node_that_is_gone(cluster):
    cluster.hosts.cut("worker-2")
    try:
        code, said = cluster.doctor(*GOOD, "--timeout", "30")
    finally:
        cluster.hosts.mend("worker-2")
    # Ray may have given the node up before the doctor came.
    named = any("worker-2 (10.77.0.3)" in line for line in said.get("failure", []))
    assert (code == 1 and named) or (code == 0 and said["ok"][0].startswith("nodes 2 answer")), said
