"""The plan of a sweep, and that its record makes the same plan again."""

from __future__ import annotations

from types import SimpleNamespace
from unittest.mock import Mock

import pytest

from fame.errors import UserError
from tests.tuning.plan.plans import SPACE, TWO_CORES, data_like, plan_of, resumed
from tuning.plan.command_line import parse
from tuning.plan.new_plan import make_plan
from tuning.plan.options import PLACE
from tuning.plan.recorded_plan import plan_from_record
from tuning.plan.sweep_plan import MOST_TRIALS
from tuning.space.space import plain
from tuning.terminal import summary


def test_epochs_are_said_by_stage(space):
    plan = plan_of("--space", space(), "--epochs", "6")
    assert plan.epochs_text == "at most 6 epochs each, after at most 2 of their backbone"
    assert plan.space.epochs({"model.heads": 2}) == (2, 6) and plan.epochs == 8
    assert plan_of("--space", space(base={"train": {"epochs": 7}})).epochs_text == "at most 7 epochs each"


@pytest.mark.parametrize(
    ("search", "args"),
    [({"text.epochs": {"choices": [0, 5]}}, []), ({}, ["--set", "text.epochs=2"]), ({}, ["--set", "text.plain=true"])],
)
def test_trials_that_read_text_need_a_dataset_with_text(space, search, args):
    file = space(search={**SPACE["search"], **search})
    columns = {"title": ["a"], "kind": ["b"]}
    described, bare = (
        SimpleNamespace(items=SimpleNamespace(columns=found), config=SimpleNamespace(name="mine"))
        for found in (columns, {"kind": ["b"]})
    )
    plan_of("--space", file, *args).check_data(described)
    with pytest.raises(UserError, match=r"mine has none.*--set text.epochs=0"):
        plan_of("--space", file, *args).check_data(bare)
    plan_of("--space", file, "--set", "text.epochs=0").check_data(bare)


RARE = {"low": 2, "high": 9, "when": {"text.epochs": {"above": 0}}}


@pytest.mark.parametrize(
    ("search", "message"),
    [
        ({"text.facets": {"choices": ["kind", "kind,brnad"]}}, "the items have no column 'brnad'"),
        ({"text.facets": {"choices": ["kind", "unique"]}}, "'unique' has 0 labels that at least 5 items have"),
        (
            {"text.facets": {"choices": ["unique"]}, "text.epochs": {"choices": [0, 2]}, "text.rare": RARE},
            "that at least 2 items have",
        ),
        ({"text.encoder": {"choices": ["nobody/nothing"]}}, "text.encoder = 'nobody/nothing': neither a folder nor"),
    ],
)
def test_facets_and_encoders_that_no_trial_could_use_are_found_before_the_first(space, monkeypatch, search, message):
    monkeypatch.setattr("huggingface_hub.snapshot_download", Mock(side_effect=OSError("offline")))
    columns = {"title": ["t"] * 40, "kind": ["a", "b"] * 20, "brand": ["c"] * 40, "unique": list(map(str, range(40)))}
    described = SimpleNamespace(items=SimpleNamespace(columns=columns), config=SimpleNamespace(name="mine"))
    plan_of("--space", space(), "--set", "text.epochs=2", "--set", "text.facets=kind").check_data(described)
    read = ("--set", "text.epochs=2")
    plan_of("--space", space(search=search, start=[]), "--set", "text.epochs=0").check_data(described)
    with pytest.raises(UserError, match=message):
        plan_of("--space", space(search=search, start=[]), *read).check_data(described)


@pytest.mark.parametrize(
    ("sections", "args", "epochs"),
    [
        ({}, [], 7 + 2),
        ({}, ["--epochs", "3"], 3 + 2),
        ({}, ["--set", "backbone.epochs=0"], 7),
        ({"base": {}}, [], 40),
        ({"base": {}, "search": {"train.epochs": {"low": 3, "high": 9}}, "start": []}, [], 9),
        ({"base": {}, "search": {"backbone.epochs": {"choices": [5, 0, 3]}}, "start": []}, [], 40 + 5),
        ({"search": {"backbone.epochs": {"choices": [0, 11]}}, "start": [], "base": {}}, ["--epochs", "1"], 12),
    ],
)
def test_epochs_are_the_most_of_both_stages(sections, args, epochs, space):
    assert plan_of("--space", space(**sections), *args).epochs == epochs


def test_a_sweep_stays_in_its_mlflow_experiment(monkeypatch):
    options = plan_of("--dataset", "beauty").to_record("beef")["options"]
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "ours")
    ours = plan_of("--dataset", "beauty")
    assert ours.mlflow_experiment == "ours"
    assert options.pop("experiment") is None  # as in a record of an earlier version
    assert resumed(plan_of(), options=options).options.experiment is None
    monkeypatch.delenv("MLFLOW_EXPERIMENT_NAME")
    assert resumed(ours).mlflow_experiment == "ours" and plan_of("--dataset", "beauty").mlflow_experiment == "beauty"


def test_the_record_does_not_say_where_it_runs():
    record = plan_of("--name", "n", "--storage", "there", "--address", "auto").to_record("beef")
    assert not record["options"].keys() & set(PLACE)
    plan = resumed(plan_of("--storage", "there"), "--storage", "elsewhere", "--address", "auto", "--name", "other")
    assert (plan.options.storage, plan.options.address, plan.options.name) == ("elsewhere", "auto", "other")


def test_a_budget_decides_trials_and_epochs():
    args = ("--dataset", "beauty", "--time-budget", "30m")
    plan = plan_of(*args).for_data(data_like(8.9), TWO_CORES)
    assert plan.planned is None and plan.trials == MOST_TRIALS
    whole = plan_of("--dataset", "beauty").for_data(data_like(8.9), TWO_CORES)
    assert plan.epochs <= whole.epochs and 1 <= plan.expected < 16
    assert (resumed(plan).planned, resumed(plan).expected) == (None, plan.expected)
    assert plan_of(*args, "--trials", "5").for_data(data_like(8.9), TWO_CORES).planned == 5


def test_a_search_without_options_covers_heads_experts_dimensions_pre_training_and_the_recipe():
    plan = plan_of("--dataset", "beauty").for_data(data_like(8.9, "title"), TWO_CORES)
    wanted = {
        "model.heads",
        "model.experts",
        "model.dim",
        "model.blocks",
        "backbone.epochs",
        "text.plain",
        "train.mode",
    }
    assert {*wanted, "train.lr", "train.schedule", "model.dropout"} <= plan.space.members["fame_memory"].search.keys()
    assert plan.trials >= 16 and not plan.demonstrates
    assert plan_of().demonstrates and plan_of().for_data(data_like(8.9), TWO_CORES) == plan_of()


def test_text_is_not_searched_where_items_have_none_nor_prefixes_of_long_histories():
    plan = plan_of("--dataset", "beauty").for_data(data_like(165.0, "genres_of_nothing"), TWO_CORES)
    searched = set(map(plain, plan.space.search))
    assert "model.dim" in searched and not {"text.plain", "text.scale", "train.mode", "model.positions"} & searched
    assert plan.experiment.train.mode == "all" and not plan.experiment.text.enabled


def test_validation_is_part_of_an_epochs_time_and_a_sample_is_named_where_it_costs_more_than_training(space):
    """Four million items, three training targets a user: all are ranked in an evaluation, 1,024 in a step."""
    large = {"users": 1_000_000, "items": 4_000_000, "actions": 6_000_000, "average_length": 6.0}
    data, machines = Mock(statistics=large), Mock(share=TWO_CORES)
    words = ("--space", space(), "--set", "train.loss=sampled_softmax")
    plan = plan_of(*words)
    assert plan.size(data, TWO_CORES).evaluation > 0.9
    assert "--set train.validation_users=10000 takes a sample" in summary.validated_text(plan, data, machines)
    sampled = plan_of(*words, "--set", "train.validation_users=10000")
    assert "validated on 10,000 of the users" in summary.validated_text(sampled, data, machines)
    assert sampled.size(data, TWO_CORES).epoch_seconds < plan.size(data, TWO_CORES).epoch_seconds / 5
    exact = plan_of("--space", space())
    assert summary.validated_text(exact, data_like(8.9), machines) == ""
    assert 0.05 < exact.size(data_like(8.9), TWO_CORES).evaluation < 0.2  # 1.3 of 10.6 s were measured on Beauty


def test_given_numbers_and_spaces_stand(space):
    words = ("--dataset", "beauty", "--trials", "3", "--epochs", "2")
    plan = plan_of(*words).for_data(data_like(8.9, "title"), TWO_CORES)
    assert (plan.trials, plan.experiment.train.epochs) == (3, 2)
    own = plan_of("--space", space(), "--dataset", "beauty")
    assert own.for_data(data_like(8.9, "title"), TWO_CORES) == own


def test_epochs_have_the_numbers_that_aims_and_limits_need() -> None:
    options, given = parse(["--metric", "ndcg@10,coverage@10", "--limit", "gini@3 < 0.9", "--limit", "parameters < 9"])
    plan = make_plan(options)
    assert {"ndcg@10", "coverage@10", "gini@3"} <= set(plan.experiment.epoch_metrics)
    assert (plan.metric, plan.shown_numbers) == ("ndcg@10", ("coverage@10", "gini@3", "parameters"))
    again = plan_from_record(plan.to_record("beef"), options, given)
    assert again.options.bounds == options.bounds
