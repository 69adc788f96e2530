"""Search the best configuration: `python tuning/sweep.py [--dataset NAME | --data FILE …]`.

All checks come before anything starts. Then Optuna proposes, Ray Tune runs and stops, and MLflow records. The best
configuration is exported, also after Ctrl-C.
"""

from __future__ import annotations

import os
import sys

if __package__ in (None, ""):  # run as a file: its folder is on the path instead of the one above
    sys.path[0] = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
if __name__ == "__main__":  # before all other imports, which take seconds
    from fame.interrupts import end_at_once

    end_at_once()

import gc

from fame.errors import run_command
from tuning.plan.command_line import parse, parser

__all__ = ["main", "parser"]


def main() -> int:
    options, given = parse()
    from tuning.library.run import carry_out, planned  # here and below, so that --help need not wait

    plan, storage = planned(options, given)
    from tuning.machines.watch import CannotGoOnError, leave

    try:
        return carry_out(plan, storage, own_process=True)
    except CannotGoOnError as error:
        leave(error)
    finally:
        gc.freeze()  # Python would look through all of torch, Ray and MLflow before it ends: more than a second


if __name__ == "__main__":
    run_command(main)
