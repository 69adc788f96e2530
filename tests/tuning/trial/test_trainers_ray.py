"""Both ways of running trials, on real Ray: the same sweep gives the same numbers."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.tuning.sweeps import TINY, Sweeps, assert_agree
from tuning.trial import TRAINERS

pytestmark = pytest.mark.slow


def test_both_trainers_give_the_same_numbers(tmp_path: Path) -> None:
    sweeps = Sweeps(tmp_path)
    options = ("--trials", "2", "--epochs", "2", "--sampler", "random", "--scheduler", "none", "--concurrent", "1")
    found = {}
    for trainer in TRAINERS:
        done = sweeps.run(*TINY, *options, "--trainer", trainer, "--name", trainer)
        assert done.returncode == 0 and done.stderr == "", done.stderr
        assert f"{trainer} trainer" in done.stdout
        assert_agree(sweeps, trainer)
        found[trainer] = [(trial.params, trial.intermediate_values, trial.value) for trial in sweeps.study(trainer)]
    assert found["inline"] == found["torch"] and len(found["torch"]) == 2
