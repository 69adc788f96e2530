"""The command line of a sweep: what was given, what is a default, and what cannot be."""

from __future__ import annotations

import argparse
import dataclasses
import os

import pytest

from fame.errors import UserError
from tuning import compare
from tuning.plan.options import DATA_OPTIONS, DEFAULTS, Options, parse, parser, plain_name


def test_nothing_given_is_every_default():
    assert parse([]) == (DEFAULTS, {})


def test_only_what_was_given_is_kept_apart_even_if_it_is_the_default():
    options, given = parse(["--seed", "0", "--set", "a.b=1", "--set", "c.d=2", "--gpus-per-worker", "0", "--resume"])
    assert given == {"seed": 0, "set": ("a.b=1", "c.d=2"), "gpus_per_worker": 0.0, "resume": True}
    assert options == Options(set=("a.b=1", "c.d=2"), gpus_per_worker=0.0, resume=True)


def test_mlflows_own_variables_stand_where_no_option_is_given(monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://me:secret@host:5000")
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "ours")
    for name in ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"):
        monkeypatch.setenv(name, "")
    options, given = parse([])
    assert (options.tracking_uri, options.experiment, given) == ("http://host:5000", "ours", {})
    assert os.environ["MLFLOW_TRACKING_URI"] == "http://host:5000", "Ray's processes need no password"
    assert os.environ["MLFLOW_TRACKING_PASSWORD"] == "secret"
    options, _ = parse(["--tracking-uri", "sqlite:///mlflow.db", "--experiment", "mine", "--no-register"])
    assert (options.tracking_uri, options.experiment, options.register) == ("sqlite:///mlflow.db", "mine", False)
    assert compare.parser().parse_args(["a"]).tracking_uri == "http://host:5000"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://host:5000?token=secret")
    with pytest.raises(UserError, match=r"MLFLOW_TRACKING_URI http://host:5000.token=.*holds a secret"):
        parse([])


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
    for key in ("model", "metric", "seed", "sampler", "scheduler", "workers", "cpus_per_worker", "storage"):
        assert f"(default: {getattr(DEFAULTS, key)})" in text


@pytest.mark.parametrize("name", ["a", "beauty-fame-20260101-120000", "a.b_c-D", "Größe", "007"])
def test_plain_names_are_taken(name):
    assert Options(name=name).name == name


def test_the_folder_of_shared_stages_is_no_name():
    with pytest.raises(UserError, match=r"--name stages: .* choose another name"):
        Options(name="stages")


@pytest.mark.parametrize(
    "name", ["", ".", "..", ".a", "-a", "a/b", "a\\b", "a b", "a?b", "a#b", "a%20b", "a\nb", "../x"]
)
def test_other_names_are_refused_and_made_plain(name):
    with pytest.raises(UserError, match=r"--name .*must be a plain folder name"):
        Options(name=name)
    assert Options(name=plain_name(name)).name


def test_ray_client_is_refused():
    with pytest.raises(UserError, match="a sweep runs on a node of its cluster, not through Ray Client"):
        Options(address="ray://head:10001")


@pytest.mark.parametrize("share", [0, 0.25, 1, 2, 8.0])
def test_shares_of_one_gpu_and_whole_gpus_are_taken(share):
    assert Options(gpus_per_worker=share).gpus_per_worker == share


@pytest.mark.parametrize("share", [-0.1, 1.5, float("nan"), float("inf")])
def test_other_shares_are_refused(share):
    with pytest.raises(UserError, match=r"--gpus-per-worker .*must"):
        Options(gpus_per_worker=share)


def test_an_option_of_an_earlier_version_says_what_to_do():
    with pytest.raises(
        UserError, match=r"^--trainer torch: there is no such option any more; leave it out: every sweep"
    ):
        parse(["--trainer", "torch"])


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ("--final-seeds 3", "--final-seeds 3: is about the last step, which --final-top K asks for"),
        ("--final-top -1", "--final-top -1: must be at least 0"),
        ("--final-top 2 --final-seeds 0", "--final-seeds 0: must be at least 1"),
        ("--final-top 2 --scheduler pbt", "--final-top 2 with --scheduler pbt: its trials change their settings"),
    ],
)
def test_a_last_step_that_cannot_be_is_an_error(args, words):
    with pytest.raises(UserError) as caught:
        parse(args.split())
    assert words in str(caught.value)


def test_there_is_no_last_step_unless_asked_for():
    assert Options().final_top == 0
    assert parse(["--final-top", "3"])[0].final_top == 3


def test_aims_and_limits_are_checked_with_the_options() -> None:
    options, given = parse(
        ["--metric", "ndcg@10,coverage@10", "--limit", "latency_ms<5", "--limit", "parameters < 1e6"]
    )
    assert options.aims == ("ndcg@10", "coverage@10")
    assert [str(limit) for limit in options.bounds] == ["latency_ms < 5", "parameters < 1e6"]
    assert given["limits"] == ("latency_ms<5", "parameters < 1e6")
    for words in (["--metric", "ndcg@10,speed"], ["--limit", "latency_ms"]):
        with pytest.raises(UserError):
            parse(words)
