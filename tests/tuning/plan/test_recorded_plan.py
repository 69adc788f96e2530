"""A record makes the same plan again."""

from __future__ import annotations

import copy
import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fame.errors import UserError
from tests.tuning.plan.plans import plan_of, resumed
from tuning.plan.options import SAMPLERS, Options
from tuning.plan.recorded_plan import plan_from_record


@settings(max_examples=20)
@given(
    st.fixed_dictionaries(
        {},
        optional={
            "--trials": st.integers(1, 99),
            "--epochs": st.integers(1, 50),
            "--workers": st.integers(1, 4),
            "--gpus-per-worker": st.sampled_from([0.25, 0.5, 1, 2]),
            "--sampler": st.sampled_from([s for s in SAMPLERS if s != "grid"]),
            "--metric": st.sampled_from(["ndcg@20", "hr@5"]),
            "--seed": st.integers(0, 2**40),
            "--columns": st.just("user=u,item=i,time=t"),
            "--dataset": st.sampled_from(["mine", "007", "yes", "1e3"]),
            "--set": st.sampled_from(["model.dim=32", "train.lr=1e-3", "data.core=2"]),
        },
    )
)
def test_a_record_makes_the_same_plan_again_and_takes_the_same_options(options):
    args = ["--data", "x.csv", *(part for key, value in options.items() for part in (key, str(value)))]
    plan = plan_of(*args)
    for again in (resumed(plan), resumed(plan, *args)):
        assert again.space == plan.space
        assert again.space.to_dict() == plan.space.to_dict()
        assert (again.trials, again.epochs) == (plan.trials, plan.epochs)
        assert again.options == dataclasses.replace(plan.options, name="mine", resume=True)
        assert again.fingerprint == again.experiment.data.fingerprint == "beef"
        assert again.to_record("beef") == plan.to_record("beef")


def test_a_record_of_the_time_of_several_trainers_is_read():
    options = plan_of().to_record("beef")["options"] | {"trainer": "inline"}
    assert resumed(plan_of(), options=options).options == resumed(plan_of()).options


STARTED = [
    "--dataset",
    "beauty",
    "--data-dir",
    "d",
    "--trials",
    "3",
    "--set",
    "model.dim=32",
    "--set",
    "train.lr=0.1",
    "--gpus-per-worker",
    "0.5",
]


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (
            ["--dataset", "toys"],
            "--dataset toys: the sweep was started with beauty; leave the option out, or start another",
        ),
        (["--data-dir", "e"], "--data-dir e: the sweep was started with d"),
        (["--items", "i.csv"], "--items i.csv: the sweep was started without it"),
        (["--columns", "user=a"], "--columns user=a: the sweep was started without it"),
        (["--epochs", "2"], "--epochs 2: the sweep's trials have up to 30; give at least as many"),
        (["--seed", "1"], "--seed 1: the sweep was started with 0"),
        (["--model", "sasrec"], "--model sasrec: the sweep was started without it"),
        (["--set", "model.dim=32"], "--set model.dim=32: the sweep was started with model.dim=32 train.lr=0.1"),
        (["--gpus-per-worker", "1"], "--gpus-per-worker 1.0: the sweep was started with 0.5"),
    ],
)
def test_an_option_that_contradicts_the_record_is_an_error(args, words):
    with pytest.raises(UserError) as caught:
        resumed(plan_of(*STARTED), *args)
    assert str(caught.value).startswith(words)


@pytest.mark.parametrize("args", [[], ["--dataset", "beauty"], ["--data-dir", "d"], ["--trials", "3"], STARTED])
def test_an_option_that_agrees_with_the_record_is_taken(args):
    assert resumed(plan_of(*STARTED), *args).trials == 3


def test_a_resumed_sweep_may_get_other_limits(space):
    plan = plan_of("--space", space(), "--trials", "3", "--epochs", "8")
    longer = resumed(plan, "--trials", "5", "--epochs", "40")
    assert (longer.trials, longer.experiment.train.epochs, longer.extended) == (5, 40, 1)
    assert longer.options.trials == 5 and longer.space.search == plan.space.search
    assert resumed(longer) == dataclasses.replace(longer, fingerprint="beef")
    assert resumed(plan, "--trials", "3").extended == 0
    assert resumed(longer, "--stop-after", "5").extended == 2


def test_a_sweep_whose_trials_advance_together_cannot_be_extended():
    plan = plan_of("--scheduler", "hyperband", "--trials", "4")
    with pytest.raises(UserError, match="--scheduler hyperband advances all trials together"):
        resumed(plan, "--trials", "8")


def test_the_record_wins_over_changed_files(space):
    path = space()
    plan = plan_of("--space", path)
    space(search={"model.dim": {"choices": [8, 16]}}, start=[])
    assert resumed(plan, "--space", path).space == plan.space


def damaged(change):
    record = copy.deepcopy(plan_of().to_record("beef"))
    return change(record) or record


@pytest.mark.parametrize(
    "change",
    [
        lambda record: [1],
        lambda record: "text",
        lambda record: record.pop("options") and None,
        lambda record: record.pop("fingerprint") and None,
        lambda record: record["options"].pop("set") and None,
        lambda record: record["options"].update(of_tomorrow=1),
        lambda record: record["space"].update(of_tomorrow=1),
        lambda record: record.update(space=None),
    ],
)
def test_a_damaged_record_is_one_line(change):
    with pytest.raises(UserError, match=r"the record of sweep 'mine'") as caught:
        plan_from_record(damaged(change), Options(name="mine", resume=True), {})
    assert "\n" not in str(caught.value)
