"""Processes of a sweep that are killed, and Ctrl-C."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from optuna.trial import TrialState

from fame.errors import EXIT_INTERRUPTED
from fame.serving.exported import load_model
from tests.chaos.harness import Undisturbed, assert_sound, command, record
from tests.tuning.sweeps import Sweeps, assert_nothing_left, wait_until

pytestmark = pytest.mark.slow

TWO_WORKERS = ("--workers", "2", "--epochs", "2")
WORKER, SLOT = "ray::RayTrainWorker", "ray::ResourceTr"
"""Processes of Ray Train's workers, and of what Tune runs for a trial, which starts and drives them."""


def ends_well(sweeps: Sweeps, name: str, undisturbed: Undisturbed, *args: str) -> Counter[str]:
    """Run to the end, and check all that has to hold then; returns what was trained again."""
    done = sweeps.run(*args)
    assert done.returncode == 0 and done.stderr == "", done.stderr
    again = assert_sound(sweeps, name, undisturbed)
    assert_nothing_left(sweeps)
    return again


def kill_one(sweeps: Sweeps, name: str, kind: str, *args: str) -> None:
    """Run a sweep to its end; after its first epochs one process of a kind is killed."""
    sweep = sweeps.start(*args)
    wait_until(lambda: sweeps.epochs(name) > 1 and sweeps.processes(kind))
    os.kill(min(sweeps.processes(kind)), signal.SIGKILL)
    out, err = sweep.communicate()
    assert sweep.returncode == 0 and err == "", (out, err)


@pytest.mark.parametrize(
    ("kind", "what"),
    [
        (WORKER, "a training worker"),
        (SLOT, "a trial's driver"),
    ],
)
def test_a_process_of_a_trial(sweeps: Sweeps, undisturbed: Undisturbed, kind: str, what: str) -> None:
    kill_one(sweeps, "p", kind, *command(sweeps, "p"))
    record(f"kill -9 of {what}", "by itself", assert_sound(sweeps, "p", undisturbed))
    assert_nothing_left(sweeps)


@pytest.mark.parametrize(
    ("kind", "number", "what"),
    [
        ("gcs_server", signal.SIGKILL, "kill -9 of the head of a local Ray"),
        ("raylet", signal.SIGKILL, "kill -9 of the node of a local Ray"),
        ("raylet", signal.SIGTERM, "kill of the node of a local Ray"),
        ("ray::DashboardAgent", signal.SIGKILL, "kill -9 of an agent of a local Ray"),
        ("ray::RuntimeEnvAgent", signal.SIGKILL, "kill -9 of the other agent"),
    ],
)
def test_a_process_of_the_sweeps_own_ray(
    sweeps: Sweeps, undisturbed: Undisturbed, kind: str, number: signal.Signals, what: str
) -> None:
    sweep = sweeps.start(*command(sweeps, "o"))
    wait_until(lambda: sweeps.epochs("o") > 1)
    # By the parents: an agent's title lies over its environment, by which `sweeps.processes` finds what belongs to it.
    (process,) = [child for child in psutil.Process(sweep.pid).children(recursive=True) if child.name() == kind]
    process.send_signal(number)
    out, err = sweep.communicate()
    assert sweep.returncode == 0 and "Ray is started again (1 of at most 3 times without an epoch)" in out, (out, err)
    record(what, "by itself", assert_sound(sweeps, "o", undisturbed))
    assert_nothing_left(sweeps)


def test_one_rank_of_two(sweeps: Sweeps) -> None:
    done = sweeps.run(*command(sweeps, "u", *TWO_WORKERS))
    assert done.returncode == 0 and done.stderr == "", done.stderr
    kill_one(sweeps, "r", WORKER, *command(sweeps, "r", *TWO_WORKERS))
    record("kill -9 of one rank of two", "by itself", assert_sound(sweeps, "r", Undisturbed.of(sweeps, "u")))
    assert_nothing_left(sweeps)


def test_the_driver_of_the_sweep(sweeps: Sweeps, undisturbed: Undisturbed) -> None:
    args = command(sweeps, "k")
    killed = sweeps.stop(sweeps.start(*args), signal.SIGKILL, lambda: sweeps.epochs("k") > 5)
    assert killed.returncode == -signal.SIGKILL
    # At once: what trains on is ended by whoever resumes.
    again = ends_well(sweeps, "k", undisturbed, *args, "--resume")
    record("kill -9 of the sweep's driver", "--resume", again)


def test_the_driver_of_a_search_that_learns(sweeps: Sweeps) -> None:
    """One trial after the other, each proposed from the results of those before."""
    options = ("--sampler", "tpe", "--concurrent", "1")
    done = sweeps.run(*command(sweeps, "u", *options))
    assert done.returncode == 0 and done.stderr == "", done.stderr
    undisturbed = Undisturbed.of(sweeps, "u")
    args = command(sweeps, "t", *options)
    sweeps.stop(sweeps.start(*args), signal.SIGKILL, lambda: len(sweeps.study("t")) == 1)  # maybe not saved by Tune
    sweeps.stop(sweeps.start(*args, "--resume"), signal.SIGKILL, lambda: len(sweeps.study("t")) == 5)
    again = ends_well(sweeps, "t", undisturbed, *args, "--resume")
    assert [trial.params for trial in sweeps.study("t")] == undisturbed.proposals
    record("kill -9 of the sweep's driver, twice, under TPE", "--resume", again, "nothing; the same proposals")


def caught(process: object, there: Callable[[], object]) -> bool:
    """Whether a process was stopped, and killed, while something was there."""
    while process.poll() is None:
        if there():
            process.send_signal(signal.SIGSTOP)
            time.sleep(0.2)  # it may be over by now
            met = bool(there())
            process.send_signal(signal.SIGKILL if met else signal.SIGCONT)
            if met:
                process.communicate()
                return True
        time.sleep(0.001)
    process.communicate()
    return False


def test_the_driver_of_the_sweep_while_it_exports(sweeps: Sweeps, undisturbed: Undisturbed) -> None:
    args, folder = command(sweeps, "e"), sweeps.folder / "runs/e"

    def half_written() -> list[Path]:
        return [path for path in folder.glob(".best.export-*") if any(path.iterdir())]

    sweep = sweeps.start(*args)
    while not caught(sweep, half_written):  # it is over in a moment; each --resume exports again
        sweep = sweeps.start(*args, "--resume")
    assert half_written()
    assert not (folder / "best").exists() or load_model(folder / "best")
    again = ends_well(sweeps, "e", undisturbed, *args, "--resume")
    load_model(folder / "best")
    record("kill -9 of the sweep's driver during export", "--resume", again, "nothing; best/ is whole or not there")


def test_ctrl_c_once_stops_cleanly_and_exports_what_there_is(sweeps: Sweeps, undisturbed: Undisturbed) -> None:
    args = command(sweeps, "c")
    stopped = sweeps.stop(sweeps.start(*args), signal.SIGINT, lambda: sweeps.epochs("c") > 5)
    assert stopped.returncode == EXIT_INTERRUPTED and "Traceback" not in stopped.stderr, stopped.stderr
    assert "tuning/sweep.py --resume --name c" in stopped.stdout and "best    " in stopped.stdout
    assert load_model(sweeps.folder / "runs/c/best")
    parent, runs = sweeps.runs("c")
    assert parent.data.tags["status"] == "interrupted" and parent.info.status == "KILLED"
    assert {run.info.status for run in runs.values()} <= {"FINISHED", "KILLED"}
    assert_nothing_left(sweeps)
    record("Ctrl-C", "--resume", ends_well(sweeps, "c", undisturbed, *args, "--resume"))


def test_ctrl_c_twice_ends_at_once(sweeps: Sweeps, undisturbed: Undisturbed) -> None:
    args = command(sweeps, "d")
    sweep = sweeps.start(*args)
    wait_until(lambda: sweeps.epochs("d") > 5)
    os.killpg(sweep.pid, signal.SIGINT)
    time.sleep(0.1)
    stopped = sweeps.stop(sweep, signal.SIGINT, lambda: True)
    assert stopped.returncode == EXIT_INTERRUPTED and stopped.stderr.endswith("interrupted\n"), stopped.stderr
    assert not (sweeps.folder / "runs/d/best").exists()
    assert any(trial.state == TrialState.RUNNING for trial in sweeps.study("d"))
    assert_nothing_left(sweeps)
    record("Ctrl-C twice", "--resume", ends_well(sweeps, "d", undisturbed, *args, "--resume"))
