"""A soak: one sweep whose processes are killed at random times: `python -m tests.chaos.soak [--minutes M] [--seed S] [--kills K]`.

The sweep has a Ray of its own. Any of its processes may be killed: workers, slots, Ray's helpers, the driver. Only after the
death of the driver is it resumed by hand. The kills begin with the first epoch, and the sweep outlasts them. At the end
every trial has one MLflow run with the same epochs. All have ended but those that run when the time is over.
"""

from __future__ import annotations

import argparse
import contextlib
import math
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from optuna.trial import TrialState

from tests.chaos.harness import command
from tests.tuning.sweeps import Sweeps, assert_agree, assert_nothing_left, wait_until

NAME = "soak"
EPOCHS = 40
TRIALS = 10_000
"""More than there is time for."""
SLOTS = 2


def kind_of(text: str) -> str:
    """Return what a process is, from its command."""
    return "driver" if "sweep.py" in text else os.path.basename(text.split()[0]) if text else "a process"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.soak", description=__doc__.partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=5, metavar="M", help="minutes of kills (default: 5)")
    parser.add_argument(
        "--seed", type=int, default=0, metavar="S", help="decides what is killed, and when (default: 0)"
    )
    parser.add_argument("--kills", type=int, default=10, metavar="K", help="kills in that time (default: 10)")
    args = parser.parse_args()
    chance, killed, by_hand = random.Random(args.seed), Counter[str](), 0
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        sweeps = Sweeps(Path(folder) / "s")
        how = ("--trials", str(TRIALS), "--epochs", str(EPOCHS), "--time-budget", f"{math.ceil(args.minutes) + 1}m")
        how = (*how, "--concurrent", str(SLOTS))
        words = command(sweeps, NAME, *how)
        sweep = sweeps.start(*words)
        wait_until(lambda: sweeps.epochs(NAME))  # a driver that dies before it has left nothing to resume
        began = time.monotonic()
        for moment in sorted(chance.uniform(0, args.minutes * 60) for _ in range(args.kills)):
            while time.monotonic() < began + moment and sweep.poll() is None:
                time.sleep(0.5)
            if sweep.poll() is not None:
                break
            victim, text = chance.choice(sorted(sweeps.processes().items()))
            with contextlib.suppress(ProcessLookupError):
                os.kill(victim, signal.SIGKILL)
                killed[kind_of(text)] += 1
                print(f"killed {kind_of(text)}", flush=True)
            if victim == sweep.pid:
                sweep.communicate()
                by_hand, sweep = by_hand + 1, sweeps.start(*words, "--resume")
        done = sweeps.end(sweep)
        again = done.stdout.count("Ray is started again")
        print(f"{killed.total()} kills: {', '.join(f'{count} × {kind}' for kind, count in killed.most_common())}")
        print(f"resumed by hand {by_hand} times, {again} starts of Ray by itself since; exit code {done.returncode}")
        if done.returncode:
            print(f"{done.stdout}\n{done.stderr}", file=sys.stderr)
            return 1
        trials = sweeps.study(NAME)
        states = Counter(trial.state for trial in trials)
        assert states.keys() <= {TrialState.COMPLETE, TrialState.RUNNING}, states
        assert states[TrialState.RUNNING] <= SLOTS < states[TrialState.COMPLETE], states
        assert all(len(t.intermediate_values) == EPOCHS for t in trials if t.state == TrialState.COMPLETE)
        assert_agree(sweeps, NAME)
        assert_nothing_left(sweeps)
        epochs = sum(len(trial.intermediate_values) for trial in trials)
        print(f"{len(trials)} trials, {epochs} epochs: nothing lost, nothing recorded twice")
    return 0


if __name__ == "__main__":
    sys.exit(main())
