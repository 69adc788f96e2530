"""Plans of small spaces, and data that they may be for."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace
from unittest.mock import Mock

import yaml

from fame.config.tree import write_yaml
from tuning.plan.command_line import parse
from tuning.plan.new_plan import make_plan
from tuning.plan.recorded_plan import plan_from_record
from tuning.plan.size import TrialShare

SPACE = {
    "base": {"train": {"epochs": 7}, "backbone": {"epochs": 2}},
    "search": {"model.heads": {"choices": [1, 2, 4]}, "model.experts": {"choices": [1, 2]}},
    "start": [{"model.heads": 2, "model.experts": 2}],
}


def plan_of(*args: str):
    return make_plan(parse(list(args))[0])


def resumed(plan, *args: str, **changes):
    """The plan as `--resume` with these arguments makes it, through a file's text."""
    record = {**yaml.safe_load(write_yaml(plan.to_record("beef"))), **changes}
    options, given_now = parse(["--resume", *args])
    return plan_from_record(record, dataclasses.replace(options, name=options.name or "mine"), given_now)


def data_like(average_length: float, *columns: str) -> Mock:
    items = SimpleNamespace(columns=dict.fromkeys(columns))
    statistics = {"users": 22_363, "items": 12_101, "actions": 198_502, "average_length": average_length}
    return Mock(items=items, statistics=statistics)


TWO_CORES = TrialShare(cores=1, gpus=0.0, at_a_time=2)
