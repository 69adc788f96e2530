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


BUSY = """
import time
from ray import tune
from tuning.terminal.progress import ProgressCallback
from tuning.sweep import main
from fame.errors import run_command

after = ProgressCallback.on_trial_result

def busy(self, iteration, trials, trial, result, **info):
    after(self, iteration, trials, trial, result, **info)
    time.sleep(20)

ProgressCallback.on_trial_result = busy
run_command(main)
"""


def test_a_trial_may_end_before_tune_has_asked_for_its_last_report(tmp_path: Path) -> None:
    """As long as the sweep's driver is busy with the first epoch, so that the trainer is through with the second."""
    sweeps = Sweeps(tmp_path)
    script = sweeps.folder / "busy.py"
    script.write_text(BUSY)
    options = ("--trials", "1", "--epochs", "2", "--sampler", "random", "--scheduler", "none", "--name", "busy")
    done = sweeps.end(sweeps.popen(str(script), *TINY, *options))
    assert done.returncode == 0 and done.stderr == "", done.stderr
    (trial,) = sweeps.study("busy")
    assert list(trial.intermediate_values) == [1, 2]
    assert_agree(sweeps, "busy")
