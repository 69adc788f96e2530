"""Both ways of running trials, on real Ray: the same sweep gives the same numbers, and survives a kill."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from optuna.trial import TrialState

from fame.errors import EXIT_INTERRUPTED
from tests.tuning.sweeps import MARK, TINY, Sweeps, assert_agree, wait_until
from tuning.search import RAY_ID
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


def test_kill_9_of_an_inline_sweep_loses_no_trial(tmp_path: Path) -> None:
    sweeps = Sweeps(tmp_path)
    options = ("--trials", "3", "--epochs", "3", "--scheduler", "none", "--trainer", "inline", "--name", "k")
    killed = sweeps.stop(sweeps.start(*TINY, *options), signal.SIGKILL, lambda: sweeps.epochs("k"))
    assert killed.returncode == -signal.SIGKILL
    known = {trial.user_attrs[RAY_ID] for trial in sweeps.study("k")}
    wait_until(lambda: not sweeps.processes())  # Ray's processes end by themselves
    done = sweeps.run("--resume", "--name", "k")
    assert done.returncode == 0 and done.stderr == "", done.stderr
    trials = sweeps.study("k")
    assert known <= {trial.user_attrs[RAY_ID] for trial in trials}
    assert [trial.state for trial in trials] == [TrialState.COMPLETE] * 3
    assert_agree(sweeps, "k")
    wait_until(lambda: not sweeps.processes())
    assert not sweeps.leftovers()


def trial_processes(sweeps: Sweeps) -> list[int]:
    """The processes in which inline trials train."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if f"{MARK}={sweeps.mark}" in (process / "environ").read_text() and "ray::ResourceTr" in (
                (process / "cmdline").read_text()
            ):
                found.append(int(process.name))
        except (OSError, UnicodeDecodeError):
            continue
    return found


def test_an_inline_trial_whose_process_is_killed_goes_on_and_ctrl_c_leaves_nothing(tmp_path: Path) -> None:
    sweeps = Sweeps(tmp_path)
    options = ("--trials", "1", "--epochs", "40", "--set", "train.patience=0", "--scheduler", "none")
    sweep = sweeps.start(*TINY, *options, "--trainer", "inline", "--name", "d")
    wait_until(lambda: sweeps.epochs("d"))
    (training,) = trial_processes(sweeps)
    os.kill(training, signal.SIGKILL)
    before = sweeps.epochs("d")
    stopped = sweeps.stop(sweep, signal.SIGINT, lambda: sweeps.epochs("d") > before + 2)
    assert stopped.returncode == EXIT_INTERRUPTED and "Traceback" not in stopped.stderr, stopped.stderr
    assert "best    " in stopped.stdout
    assert_agree(sweeps, "d")
    wait_until(lambda: not sweeps.processes())
    assert not sweeps.leftovers()
