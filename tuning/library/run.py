"""A sweep from its options: planned, checked, and run."""

from __future__ import annotations

import dataclasses
import time
from typing import TYPE_CHECKING, Any

from fame.datasets import load_dataset, print_to_stderr
from fame.errors import UserError
from tuning.plan.options import Options, plain_name
from tuning.storage.layout import Storage, check_writable, newest, shown

if TYPE_CHECKING:
    from fame.datasets.entry import Report
    from tuning.plan.sweep_plan import Plan


def planned(options: Options, given: dict[str, Any]) -> tuple[Plan, Storage]:
    """Return the plan of a new sweep, or of the one to go on with, and its place. Nothing is written yet.

    `given` are the options that differ from the defaults on purpose. Raises `UserError` for options that cannot be used.
    """
    return resumed_plan(options, given) if options.resume else new_plan(options)


def carry_out(plan: Plan, storage: Storage, report: Report = print_to_stderr, own_process: bool = False) -> int:
    """Run the sweep, or print its plan, and return the exit code. `report` takes lines about the data.

    In a process of its own, which may replace itself, the sweep starts its Ray again if that dies.

    Raises `UserError` if the sweep cannot begin, `CannotGoOnError` if Ray or the sweep's lock is lost.
    """
    from tuning.driver.lock import locked
    from tuning.driver.run import run_sweep
    from tuning.machines import preparing, resources
    from tuning.machines.checks import before_sweep

    options = plan.options
    engine = None if options.address is None else preparing.engine(options.address, report)
    dataset = load_dataset(plan.experiment.data, report=report, engine=engine)
    if not options.resume:
        plan = plan.for_data(dataset, resources.plan(options, resources.found()).share)
        if options.start_from is not None:
            from tuning.plan.start_from import start_from

            plan = start_from(plan, dataset)
    plan.check_data(dataset)
    before_sweep(options, plan.mlflow_experiment, storage)
    if options.dry_run:
        from tuning.terminal import summary

        summary.print_plan(plan, dataset, resources.plan(options, resources.found()), storage)
        return 0
    with locked(storage) as leases:
        if not options.resume:
            check_new(storage)  # again: another one of this name may have begun since
        return run_sweep(plan, storage, dataset, leases, own_process)


def new_plan(options: Options) -> tuple[Plan, Storage]:
    """The plan of a sweep that is not there yet."""
    from tuning.plan.new_plan import make_plan

    plan = make_plan(options)
    data = plan.experiment.data
    name = options.name or plain_name(f"{data.name}-{plan.options.asked_model}-{time.strftime('%Y%m%d-%H%M%S')}")
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
    from tuning.plan.recorded_plan import plan_from_record

    plan = plan_from_record(storage.read_record(), dataclasses.replace(options, name=name), given)
    return plan, dataclasses.replace(storage, extended=plan.extended)
