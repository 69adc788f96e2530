"""The batch script for Slurm: shellcheck reads it, `sbatch` takes it, and it runs a sweep over two nodes."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator

import pytest

from tests.cluster import hosts, slurm_hosts
from tests.cluster.hosts import SOURCES, wait_until
from tests.cluster.slurm_hosts import CHECKOUT, NODES, SlurmHosts
from tests.tuning.sweeps import TINY, Sweeps, assert_agree

SCRIPT = "cluster/slurm/sweep.sbatch"
reason = hosts.missing() or slurm_hosts.missing()
with_slurm = [pytest.mark.slow, pytest.mark.skipif(reason is not None, reason=str(reason))]


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="needs shellcheck (Debian: apt-get install shellcheck)")
def test_shellcheck_finds_nothing():
    done = subprocess.run(["shellcheck", SCRIPT], cwd=SOURCES, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_the_script_ends_no_ray_but_its_own():
    script = (SOURCES / SCRIPT).read_text()
    assert not [line for line in script.splitlines() if "ray stop" in line and not line.startswith("#")]
    assert "symmetric-run" not in script


@pytest.fixture(scope="module")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SlurmHosts]:
    folder = tmp_path_factory.mktemp("slurm")
    with SlurmHosts(folder) as slurm:
        yield slurm
    shutil.rmtree(folder)


class TestOnSlurm:
    pytestmark = with_slurm

    def test_sbatch_would_start_it(self, slurm):
        said = slurm.head.must("sbatch", "--test-only", "--cpus-per-task=1", SCRIPT, cwd=CHECKOUT)
        assert "node-[1-2]" in said

    def test_more_nodes_than_there_are_are_refused(self, slurm):
        assert slurm.head.run("sbatch", "--test-only", "--nodes=3", SCRIPT, cwd=CHECKOUT).returncode != 0

    def test_it_runs_a_sweep_over_both_nodes(self, slurm):
        sweeps = Sweeps(slurm.shared / "checkout")
        options = (*TINY, "--trials", "4", "--epochs", "3", "--scheduler", "none", "--name", "s")
        job = slurm.head.must("sbatch", "--parsable", "--cpus-per-task=1", SCRIPT, *options, cwd=CHECKOUT).strip()
        log = slurm.shared / f"checkout/fame-sweep-{job}.log"
        trained: set[str] = set()

        def ended() -> bool:
            trained.update(name for name in NODES if slurm.hosts[name].processes("RayTrainWorker"))
            return slurm.state(job).split()[0] not in ("PENDING", "RUNNING", "COMPLETING", "CONFIGURING")

        wait_until(ended, what=f"for job {job}")
        assert slurm.state(job) == "COMPLETED 0:0", log.read_text()
        assert trained == set(NODES)
        assert [trial.state.name for trial in sweeps.study("s")] == ["COMPLETE"] * 4
        assert_agree(sweeps, "s")
        assert (slurm.shared / "checkout/runs/s/best/model.safetensors").stat().st_size > 0
        for name in NODES:  # Slurm has ended what ran, and the script has removed what it wrote
            wait_until(lambda name=name: not slurm.hosts[name].processes("ray"), what=f"for Ray on {name} to end")
            assert not list((slurm.hosts[name].folder / "tmp").glob("ray-*"))
        assert "RAY_AUTH_TOKEN" not in log.read_text()
