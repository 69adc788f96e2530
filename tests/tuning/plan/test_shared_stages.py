"""How many stage runs a space needs is known before, and how many there were after."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fame.config.tree import experiment_from_dict
from fame.runtime.parallel import Workers
from fame.training.stages import recipes
from tests.fame.helpers import CPU
from tuning.plan.shared_stages import expected
from tuning.space.file import space_from_dict

FREE = {"model.experts": {"choices": [1, 2]}, "train.lr": {"low": 1e-4, "high": 1e-2, "log": True}}


def texts(search: dict, trials: int = 16, base: dict | None = None, constraints: tuple = ()) -> list[str]:
    base = {"model": {"name": "fame"}, "backbone": {"epochs": 3}} if base is None else base
    space = space_from_dict({"base": base, "search": search, "constraints": list(constraints)}, "test")
    return [one.text(trials) for one in expected(space)]


def test_what_decides_a_backbone_counts_and_nothing_else():
    assert texts(FREE) == ["backbone: at most 1 run for 16 trials, shared by all"]
    heads = {**FREE, "model.heads": {"choices": [1, 2, 4]}}
    assert texts(heads) == ["backbone: at most 3 runs for 16 trials; trials that agree in model.heads share one"]
    assert texts(heads, trials=2)[0].startswith("backbone: at most 2 runs for 2 trials")


def test_trials_without_a_backbone_need_no_run():
    none = {"model": {"name": "fame"}}
    assert texts(FREE, base=none) == []
    assert texts({"model.heads": {"choices": [1, 2]}}, base={"model": {"name": "sasrec"}}) == []
    search = {
        "model.heads": {"choices": [1, 2]},
        "backbone.epochs": {"choices": [0, 2, 3]},
        "backbone.lr": {"choices": [0.01, 0.02], "when": {"backbone.epochs": {"above": 2}}},
    }
    # Of each number of heads: one with 2 epochs, two with 3.
    assert texts(search, base=none)[0].startswith("backbone: at most 6 runs for 16 trials; trials that agree in")


def test_a_continuous_setting_may_be_another_one_in_each_trial():
    search = {"backbone.lr": {"low": 1e-4, "high": 1e-2, "log": True}}
    assert texts(search) == ["backbone: at most 16 runs for 16 trials; trials that agree in backbone.lr share one"]


def test_what_the_space_forbids_is_not_counted():
    search = {"model.heads": {"choices": [1, 2, 4]}, "model.dim": {"choices": [32, 64]}, **FREE}
    assert "at most 6 runs" in texts(search)[0]
    assert "at most 4 runs" in texts(search, constraints=("model.heads <= 2",))[0]
    assert "at most 6 runs" in texts(search, constraints=("model.heads != model.experts",))[0]


def test_the_text_stage_counts_for_itself_and_for_the_backbone_that_starts_from_it():
    search = {
        "model.heads": {"choices": [1, 2]},
        "text.epochs": {"choices": [0, 5]},
        "text.temperature": {"choices": [0.1, 0.2], "when": {"text.epochs": {"above": 0}}},
        "text.scale": {"choices": [0.5, 1.0], "when": {"text.epochs": {"above": 0}}},
        "text.facets": {"choices": ["brand", "brand,genres"], "when": {"text.epochs": {"above": 0}}},
    }
    text, backbone = texts({**search, **FREE}, trials=99)
    assert text.startswith("text: at most 8 runs for 99 trials; trials that agree in model.heads, text.epochs, ")
    assert "text.scale" not in text
    # Of each number of heads: one without text, and two scales of each of its four text stages.
    assert backbone.startswith("backbone: at most 18 runs for 99 trials") and "text.scale" in backbone
    # Also where a search switches both on.
    both = {"backbone.epochs": {"choices": [0, 3]}, **search, **FREE}
    text, again = texts(both, base={"model": {"name": "fame"}}, trials=99)
    assert text.startswith("text: at most 8 runs") and again.startswith("backbone: at most 18 runs for 99 trials")


SMALL = {
    "model.heads": [1, 2],
    "model.experts": [1, 2],
    "model.dropout": [0.1, 0.2],
    "backbone.epochs": [0, 1],
    "backbone.noise": [0.0, 0.5],
    "train.epochs": [1, 2],
}


@given(st.sets(st.sampled_from(sorted(SMALL)), min_size=1))
def test_it_is_the_number_of_different_keys(keys):
    base = {"model": {"name": "fame"}} if "backbone.epochs" in keys else {"backbone": {"epochs": 2}}
    space = space_from_dict({"base": base, "search": {key: {"choices": SMALL[key]} for key in sorted(keys)}}, "test")
    points = [
        dict(zip(sorted(keys), values, strict=True)) for values in itertools.product(*map(SMALL.get, sorted(keys)))
    ]
    found = {
        recipe.key(Workers(device=CPU))
        for point in points
        for recipe in recipes(experiment_from_dict(space.experiment(point)))
    }
    assert [one.runs for one in expected(space)] == [len(found)]


@pytest.mark.parametrize("scheduler", ["asha", "pbt"])
def test_the_plan_says_it_but_for_populations(scheduler):
    from tuning.plan.command_line import parse
    from tuning.plan.new_plan import make_plan

    plan = make_plan(parse(["--scheduler", scheduler, "--set", "backbone.epochs=3"])[0])
    assert [one.stage for one in plan.shared_stages()] == (["backbone"] if scheduler == "asha" else [])
