"""The undisturbed sweep that all faults are compared with, run once."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.harness import Undisturbed, command
from tests.tuning.sweeps import Sweeps


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    sweeps = Sweeps(tmp_path_factory.mktemp("undisturbed"))
    done = sweeps.run(*command(sweeps, "u", "--trainer", "inline"))
    assert done.returncode == 0 and done.stderr == "", done.stderr
    return Undisturbed.of(sweeps, "u")


@pytest.fixture
def sweeps(tmp_path: Path) -> Sweeps:
    return Sweeps(tmp_path / "s")
