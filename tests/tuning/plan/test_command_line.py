"""The command line of a sweep: what was given, and what is a default."""

from __future__ import annotations

import argparse
import dataclasses

import pytest

from fame.errors import UserError
from tuning.plan.command_line import parse, parser
from tuning.plan.mlflow_defaults import EXPERIMENT_NAME, TRACKING_URI
from tuning.plan.options import DATA_OPTIONS, DEFAULTS, Options


def test_nothing_given_is_every_default(monkeypatch):
    for name in (TRACKING_URI, EXPERIMENT_NAME):
        monkeypatch.delenv(name, raising=False)
    assert parse([]) == (DEFAULTS, {})


def test_only_what_was_given_is_kept_apart_even_if_it_is_the_default():
    options, given = parse(["--seed", "0", "--set", "a.b=1", "--set", "c.d=2", "--gpus-per-worker", "0", "--resume"])
    assert given == {"seed": 0, "set": ("a.b=1", "c.d=2"), "gpus_per_worker": 0.0, "resume": True}
    assert options == Options(set=("a.b=1", "c.d=2"), gpus_per_worker=0.0, resume=True)


def test_data_options_are_settings_of_the_data():
    args = ["--data", "x/clicks.csv", "--columns", "user=u,item=i,time=t", "--items", "i.csv", "--data-dir", "d"]
    args += ["--facets", "brand, price:8", "--item-id", "sku", "--where", "a > 1", "--separator", ";"]
    args += [
        "--encoding",
        "cp1252",
        "--mixed-times",
        "convert",
        "--time-format",
        "%d.%m.%Y",
        "--split",
        "time,validation=0.1,test=2024-01-05",
    ]
    options, given = parse(args)
    assert given == {"data": options.data}
    assert options.data.keys() == DATA_OPTIONS.keys()
    assert options.data["data.name"] == "clicks"
    assert options.data["data.columns"] == {"user": "u", "item": "i", "time": "t"}
    assert options.data["data.split"] == {"by": "time", "validation": 0.1, "test": "2024-01-05"}
    assert options.data["text.facets"] == ["brand", "price:8"]
    assert parse(["--dataset", "beauty"])[0].data == {"data.name": "beauty"}


def test_every_option_has_a_line_of_help_and_is_in_the_options():
    actions = [action for action in parser()._actions if action.help != argparse.SUPPRESS and action.dest != "help"]
    data = {option.removeprefix("--").replace("-", "_") for option in DATA_OPTIONS.values()}
    data |= {"train", "validation", "test"}  # other ways to say --data and --split
    assert {action.dest for action in actions} == {f.name for f in dataclasses.fields(Options)} - {"data"} | data
    assert all(action.help for action in actions)
    text = " ".join(parser().format_help().split())
    for key in ("metric", "seed", "sampler", "scheduler", "workers", "cpus_per_worker", "storage"):
        assert f"(default: {getattr(DEFAULTS, key)})" in text


def test_an_option_of_an_earlier_version_says_what_to_do():
    with pytest.raises(
        UserError, match=r"^--trainer torch: there is no such option any more; leave it out: every sweep"
    ):
        parse(["--trainer", "torch"])
