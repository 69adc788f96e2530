"""Starts Ray again when a process of the sweep's own Ray has died: the driver begins anew, with `--resume`.

A process that has lost its Ray cannot use another one: Ray's threads wait for the dead one, and abort the process after a
while. So the driver replaces itself (`exec`). Its process number, its terminal and its output stay.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from fame.artifacts.lease import Lease
from tuning.storage.layout import Storage
from tuning.study.reading import read_trials

MOST = 3
"""Most starts of Ray in a row without an epoch in between."""
COUNT = "FAME_RAY_STARTS"
"""Variable with the number of such starts before this process began."""
ENVIRONMENT = dict(os.environ)
"""The environment as it was before Ray started."""


class Again:
    """The state that a driver needs to begin anew."""

    def __init__(self, storage: Storage, leases: Sequence[Lease]) -> None:
        self.storage, self.leases = storage, leases
        self.epochs, self.count = self.known_epochs(), int(ENVIRONMENT.get(COUNT, 0))

    def __call__(self, why: str) -> None:
        """Begin anew, or return if that has not helped several times."""
        count = 1 if self.known_epochs() > self.epochs else self.count + 1
        if count > MOST:
            return
        what = why.partition(". ")[0]
        print(f"{what}. Ray is started again ({count} of at most {MOST} times without an epoch)", flush=True)
        for lease in self.leases:
            lease.release()
        replace_process(command(sys.orig_argv, self.storage.name), {**ENVIRONMENT, COUNT: str(count)})

    def known_epochs(self) -> int:
        """Return the epochs that the study knows."""
        return sum(len(trial.curve) for trial in read_trials(self.storage.study, self.storage.name))


def command(typed: Sequence[str], name: str) -> list[str]:
    """Return the command that goes on with a sweep, from the one that was typed."""
    words = [sys.executable, *typed[1:]]
    named = any(word == "--name" or word.startswith("--name=") for word in words)
    return [*words, *([] if named else ["--name", name]), *([] if "--resume" in words else ["--resume"])]


def replace_process(words: list[str], environment: dict[str, str]) -> NoReturn:
    sys.stdout.flush()
    sys.stderr.flush()
    os.execve(words[0], words, environment)
