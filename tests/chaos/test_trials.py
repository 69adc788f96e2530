"""Faults inside a trial: memory, numbers, a process that hangs, a defect of the program."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from optuna.trial import TrialState

from fame.errors import EXIT_FAILED
from tests.chaos.faulty import assert_others_sound, faulty, from_worst
from tests.chaos.harness import TRIALS, Undisturbed, assert_sound, record
from tests.tuning.sweeps import Sweeps
from tuning.faults import Fault

pytestmark = pytest.mark.slow


def test_memory_and_numbers(sweeps: Sweeps, undisturbed: Undisturbed) -> None:
    """Out of memory on the host and on a GPU, and a loss that is not a number: in three trials of one sweep."""
    host, gpu, number = from_worst(undisturbed)[:3]
    faults = {
        host: {"kind": "host_memory"},
        gpu: {"kind": "cuda_memory", "epoch": 2},
        number: {"kind": "not_a_number", "epoch": 3},
    }
    done = sweeps.run(*faulty(sweeps, "m", faults))
    assert done.returncode == 0 and done.stderr == "", done.stderr
    found = assert_others_sound(sweeps, "m", undisturbed)
    assert found.keys() == {"infeasible", "diverged"}
    assert {trial.state for trial in found["infeasible"]} == {TrialState.PRUNED}
    assert all(trial.constraints == {"memory": 1.0} for trial in found["infeasible"])
    reasons = {Fault.of(trial.user_attrs).reason.partition(":")[0] for trial in found["infeasible"]}
    assert reasons == {"RuntimeError", "OutOfMemoryError"}
    assert {trial.state for trial in found["diverged"]} == {TrialState.FAIL}
    assert "infeasible" in done.stdout and "diverged" in done.stdout and "Traceback" not in done.stdout
    # One process: it was not started again for any of them.
    assert all(
        sorted(t.intermediate_values) == list(range(1, len(t.intermediate_values) + 1)) for t in found["diverged"]
    )
    record("a trial out of memory (host)", "told as infeasible", Counter(), "that trial")
    record("a trial out of memory (CUDA, simulated)", "told as infeasible", Counter(), "that trial")
    record("a trial's loss becomes NaN", "told as diverged", Counter(), "that trial")


def test_one_of_two_workers_out_of_memory(sweeps: Sweeps, undisturbed: Undisturbed) -> None:
    """Under Ray Train; curves on two workers differ from those on one in the last digits, so they are not compared."""
    (victim, *_) = from_worst(undisturbed)
    faults = {victim: {"kind": "host_memory", "rank": 1, "epoch": 2}}
    done = sweeps.run(*faulty(sweeps, "w", faults, "--workers", "2", "--epochs", "2"))
    assert done.returncode == 0 and done.stderr == "", done.stderr
    trials = sweeps.study("w")
    assert [trial.params for trial in trials] == undisturbed.proposals
    wrong = [trial for trial in trials if Fault.of(trial.user_attrs)]
    assert wrong and {Fault.of(trial.user_attrs).kind for trial in wrong} == {"infeasible"}
    assert all(list(trial.intermediate_values) == [1] for trial in wrong)
    assert all(trial.state == TrialState.COMPLETE for trial in trials if trial not in wrong)
    record("one of a trial's two workers out of memory", "told as infeasible", Counter(), "that trial")


def test_the_memory_monitor_kills_every_trial(sweeps: Sweeps) -> None:
    """Ray's own, which is told that the machine is full: Tune would end the whole sweep for it."""
    sweeps.environment |= {"RAY_memory_usage_threshold": "0.01", "RAY_memory_monitor_refresh_ms": "200"}
    done = sweeps.run(*faulty(sweeps, "o", {}))
    trials = sweeps.study("o")
    assert len(trials) == TRIALS and {trial.state for trial in trials} == {TrialState.PRUNED}, done.stderr
    assert {Fault.of(trial.user_attrs).kind for trial in trials} == {"infeasible"}
    assert done.returncode == EXIT_FAILED and "error: every trial failed; the last: " in done.stderr
    assert "Traceback" not in done.stderr
    record("Ray's memory monitor kills a trial", "told as infeasible", Counter(), "that trial")


def test_a_trial_that_hangs_once(sweeps: Sweeps, undisturbed: Undisturbed) -> None:
    """Its whole process is stopped: it answers to nothing, Ray included."""
    (victim, *_) = from_worst(undisturbed)
    faults = {victim: {"kind": "stops", "epoch": 3, "once": str(sweeps.folder / "once")}}
    done = sweeps.run(*faulty(sweeps, "h", faults, "--hang-after", "15"))
    assert done.returncode == 0 and done.stderr == "", done.stderr
    assert done.stdout.count("no sign of life for 15 s; it is started again from its checkpoint") == 1
    record("a trial hangs once", "by itself", assert_sound(sweeps, "h", undisturbed))


def test_a_trial_that_hangs_again(sweeps: Sweeps, undisturbed: Undisturbed) -> None:
    """In Python, under Ray Train."""
    (victim, *_) = from_worst(undisturbed)
    faults = {victim: {"kind": "loops", "epoch": 2}}
    done = sweeps.run(*faulty(sweeps, "g", faults, "--hang-after", "20"))
    assert done.returncode == 0 and done.stderr == "", done.stderr
    found = assert_others_sound(sweeps, "g", undisturbed)
    assert found.keys() == {"hung"} and {trial.state for trial in found["hung"]} == {TrialState.FAIL}
    # The first process had one epoch, the second went on from it and had another one.
    assert all(list(trial.intermediate_values) == [1, 2] for trial in found["hung"])
    record("a trial hangs again after it was started again", "told as hung", Counter(), "that trial")


def test_a_code_error_stops_the_sweep_early(sweeps: Sweeps, tmp_path: Path) -> None:
    every = {f"H{heads} N{experts}": {"kind": "code"} for heads in (1, 2, 4) for experts in (1, 2, 4)}
    done = sweeps.run(*faulty(sweeps, "c", every, "--concurrent", "1"))
    assert done.returncode == EXIT_FAILED
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert line == (
        "error: 2 trials failed alike before any had an epoch: KeyError: 'a key that was mistyped'; mend that, then --resume"
    )
    assert "Traceback" not in done.stderr
    assert sum(trial.state == TrialState.FAIL for trial in sweeps.study("c")) == 2
    # Mended, the sweep goes on with the trials that are left.
    done = sweeps.run(*faulty(sweeps, "c", {}, "--concurrent", "1"), "--resume")
    assert done.returncode == 0 and done.stderr == "", done.stderr
    states = Counter(trial.state for trial in sweeps.study("c"))
    assert states == {TrialState.FAIL: 2, TrialState.COMPLETE: TRIALS - 2}
    record("every trial fails at once for a code error", "stops after 2; --resume", Counter(), "those 2 trials")
