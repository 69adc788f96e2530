"""The undisturbed sweep that all faults are compared with, run once; and what tests run sweeps on."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos.harness import Undisturbed, command
from tests.chaos.nodes import Cluster, Node
from tests.tuning.sweeps import Sweeps


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    sweeps = Sweeps(tmp_path_factory.mktemp("undisturbed"))
    done = sweeps.run(*command(sweeps, "u"))
    assert done.returncode == 0 and done.stderr == "", done.stderr
    return Undisturbed.of(sweeps, "u")


@pytest.fixture
def sweeps(tmp_path: Path) -> Sweeps:
    return Sweeps(tmp_path / "s")


@pytest.fixture
def cluster(sweeps: Sweeps) -> Iterator[Cluster]:
    sweeps.environment["RAY_AUTH_MODE"] = "disabled"
    nodes: list[Node] = []
    folder = Path(tempfile.mkdtemp(prefix="fn-", dir="/tmp"))  # Ray's sockets need short paths
    try:
        yield Cluster(folder, nodes.append)
    finally:
        for node in nodes:
            node.kill()
        shutil.rmtree(folder)
