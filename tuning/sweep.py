"""Search the best configuration: `python tuning/sweep.py [--dataset NAME | --data FILE …]`.

Everything that can be wrong is found before anything starts; then Optuna proposes, Ray Tune runs and
stops, MLflow records, and the best configuration is exported, also after Ctrl-C.
"""

from __future__ import annotations

import os
import sys

if __package__ in (None, ""):  # run as a file: its folder is on the path instead of the one above
    sys.path[0] = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
if __name__ == "__main__":  # before all other imports, which take seconds
    from fame.interrupts import end_at_once

    end_at_once()

import dataclasses
import gc
import time
from typing import TYPE_CHECKING, Any

from fame.errors import UserError, run_command
from tuning.plan.options import Options, parse, parser, plain_name
from tuning.storage.layout import Storage, check_writable, newest, shown

if TYPE_CHECKING:
    from tuning.plan.sweep_plan import Plan

__all__ = ["main", "parser"]


def main() -> int:
    options, given = parse()
    from fame.datasets import load_dataset  # here and below, so that --help need not wait

    if options.resume:
        plan, storage = resumed_plan(options, given)
    else:
        plan, storage = new_plan(options)
    dataset = load_dataset(plan.experiment.data)
    from tuning.machines import resources
    from tuning.machines.checks import before_sweep

    if not options.resume:
        plan = plan.for_data(dataset, resources.plan(plan.options, resources.found()).share)
    plan.check_data(dataset)
    before_sweep(plan.options, plan.experiment.data.name, storage)
    if options.dry_run:
        from tuning.terminal import summary

        summary.print_plan(plan, dataset, resources.plan(plan.options, resources.found()), storage)
        return 0
    from tuning.driver.lock import locked
    from tuning.machines.watch import CannotGoOnError, end_at_once

    try:
        with locked(storage) as leases:
            if not options.resume:
                check_new(storage)  # again: another one of this name may have begun since
            from tuning.driver.run import run_sweep

            return run_sweep(plan, storage, dataset, leases)
    except CannotGoOnError as error:
        end_at_once(error)
    finally:
        gc.freeze()  # Python would look through all of torch, Ray and MLflow before it ends: more than a second


def new_plan(options: Options) -> tuple[Plan, Storage]:
    """The plan of a sweep that is not there yet."""
    from tuning.plan.sweep_plan import make_plan

    plan = make_plan(options)
    data = plan.experiment.data
    name = options.name or plain_name(f"{data.name}-{options.model}-{time.strftime('%Y%m%d-%H%M%S')}")
    storage = Storage.of(options.storage, name)
    check_writable(options.storage)
    check_new(storage)
    storage.check_local()
    return plan, storage


def check_new(storage: Storage) -> None:
    if storage.exists:
        raise UserError(
            f"--name {storage.name}: there is a sweep of this name at {shown(storage.shared)}; "
            "go on with --resume, or choose another"
        )


def resumed_plan(options: Options, given: dict[str, Any]) -> tuple[Plan, Storage]:
    """The plan of a sweep that was started before."""
    name = options.name or newest(options.storage)
    storage = Storage.of(options.storage, name)
    if not storage.exists:
        raise UserError(f"--resume: there is no sweep '{name}' at {shown(storage.shared)}; start it without --resume")
    check_writable(options.storage)
    storage.check_local()
    storage.check_owner()
    from tuning.plan.sweep_plan import plan_from_record

    return plan_from_record(storage.read_record(), dataclasses.replace(options, name=name), given), storage


if __name__ == "__main__":
    run_command(main)
