"""The options of a sweep: what each takes, and what cannot be."""

from __future__ import annotations

import pytest

from fame.errors import UserError
from tuning.plan.command_line import parse
from tuning.plan.options import Options, plain_name


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
