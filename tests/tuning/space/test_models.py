"""Several models in one space: each has its own keys, and the parts are there again."""

from __future__ import annotations

import dataclasses
import math
import random

import pytest
import yaml

from fame.config.tree import experiment_from_dict, write_yaml
from fame.errors import UserError
from tuning.plan.command_line import parse
from tuning.plan.new_plan import make_plan
from tuning.plan.recorded_plan import plan_from_record
from tuning.plan.sweep_plan import Plan
from tuning.space import settings_at
from tuning.space.file import fix
from tuning.space.models import SHORTLIST, merge
from tuning.study.trials import run_name


def plan_of(*args: str) -> Plan:
    return make_plan(parse(["--dataset", "beauty", *args])[0])


@pytest.fixture(scope="module")
def plan() -> Plan:
    return plan_of("--model", "fame,sasrec", "--trials", "6", "--epochs", "7", "--set", "model.dim=32")


def test_a_trial_has_one_model_and_its_keys_alone(plan):
    rng = random.Random(0)
    points = [plan.space.draw(rng) for _ in range(40)]
    assert {point["model.name"] for point in points} == {"fame", "sasrec"}
    for point in points:
        model = point["model.name"]
        assert all(key == "model.name" or key.startswith(f"{model}/") for key in point)
        if plan.space.problem(point) is None:
            experiment = experiment_from_dict(settings_at(plan.space.base, point))
            assert (experiment.model.name, experiment.model.dim, experiment.train.epochs) == (model, 32, 7)
            assert experiment.train.lr == point[f"{model}/train.lr"] and experiment.data.name == "beauty"


def test_the_parts_are_the_spaces_of_the_models(plan):
    alone = plan_of("--model", "sasrec", "--epochs", "7", "--set", "model.dim=32")
    assert plan.space.members["sasrec"] == alone.space
    assert [point["model.name"] for point in plan.space.start[:4]] == ["fame", "sasrec", "fame", "sasrec"]


def test_a_constraint_is_that_of_the_chosen_model(plan):
    point = next(p for p in map(dict, plan.space.start) if p["model.name"] == "sasrec")
    assert plan.space.problem(point) is None
    assert "model.heads" in plan.space.problem(point | {"sasrec/model.heads": 3})


def test_the_record_makes_the_same_space(plan):
    record = yaml.safe_load(write_yaml(plan.to_record("beef")))
    again = plan_from_record(record, plan.options, {})
    assert again.space == plan.space and again.space.start == plan.space.start
    assert dataclasses.replace(again, options=plan_of().options).models == "fame, sasrec"
    longer = plan_from_record(record, plan.options, {"epochs": 9})
    assert longer.space.experiment({"model.name": "sasrec"})["train"]["epochs"] == 9


def test_a_table_has_what_models_have_in_common_once_and_names_them_where_they_differ(plan):
    rows = plan.space.describe()
    keys = [key for key, _, _ in rows]
    assert keys[0] == "model.name" and keys.count("model.heads") == keys.count("train.lr") == 1
    assert ("fame: backbone.lr", "0.0001 to 0.005, log", "backbone.epochs > 0") in rows
    assert plan.space.rules() == ["model.heads divides model.dim"]
    parts = {**plan.space.members, "sasrec": dataclasses.replace(plan.space.members["sasrec"], constraints=())}
    assert merge(parts).rules() == ["fame: model.heads divides model.dim"]
    points = 0
    for one in plan.space.members.values():
        values = [parameter.domain.values() for parameter in one.search.values()]
        points += math.prod(len(some) for some in values if some is not None)
    finite = f"the other keys: at most {points:,}"
    assert plan.space.size_text() == f"infinite (continuous: text.scale, backbone.lr, train.lr; {finite})"


def test_auto_is_the_shortlist_and_a_name_has_the_model_and_its_letters():
    assert plan_of("--model", "auto").options.models == SHORTLIST
    assert run_name({"model.name": "fame", "fame/model.heads": 2}, "abc") == "fame H2"


def test_a_search_that_names_no_model_chooses_it_and_the_demonstration_is_fames():
    chosen = plan_of()
    assert (chosen.options.models, chosen.options.asked_model) == (SHORTLIST, "auto")
    assert chosen.space == plan_of("--model", "auto").space
    assert plan_of("--space", "paper").space.model == "fame"
    assert make_plan(parse([])[0]).space.model == "fame"
    for name in SHORTLIST:  # with and without the memory
        assert chosen.space.members[name].search["model.memory"].domain.ends()[0] == 0


def test_a_setting_that_is_a_mapping_is_set_for_all_models():
    plan = make_plan(parse(["--dataset", "synthetic", "--set", "data.size={users: 40}", "--set", "recipe=lineage"])[0])
    for tree in (plan.space.base, fix(plan.space, {"data.size.items": 30}).base):
        for base in tree["models"].values():
            assert base["data"]["size"]["users"] == 40 and base["train"]["mode"] == "prefix"
    assert fix(plan.space, {"data.size.items": 30}).base["models"]["fame_memory"]["data"]["size"]["items"] == 30


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["--model", "fame,fame"], "names a model twice"),
        (["--model", "fame,sasrek"], "sasrec"),
        (["--model", "fame,sasrec", "--space", "paper"], "searched in its own space"),
        (["--model", "fame,sasrec", "--set", "model.nothing=1"], "none of the models fame, sasrec has this setting"),
    ],
)
def test_models_that_cannot_be_searched_together_are_one_line(args, words):
    with pytest.raises(UserError, match=words):
        plan_of(*args)
