"""What a sweep is going to do, and that its record makes the same plan again."""

from __future__ import annotations

import copy
import dataclasses
from types import SimpleNamespace
from unittest.mock import Mock

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from fame.config.tree import write_yaml
from fame.errors import UserError
from tuning.plan.command_line import parse
from tuning.plan.new_plan import TRIALS, make_plan
from tuning.plan.options import PLACE, SAMPLERS, Options
from tuning.plan.recorded_plan import plan_from_record
from tuning.plan.size import TrialShare
from tuning.plan.sweep_plan import MOST_TRIALS
from tuning.terminal import summary

SPACE = {
    "base": {"train": {"epochs": 7}, "backbone": {"epochs": 2}},
    "search": {"model.heads": {"choices": [1, 2, 4]}, "model.experts": {"choices": [1, 2]}},
    "start": [{"model.heads": 2, "model.experts": 2}],
}


@pytest.fixture
def space(tmp_path):
    """Writes a space file, `SPACE` with sections replaced, and returns its path."""

    def write(**sections) -> str:
        path = tmp_path / "my.yaml"
        path.write_text(write_yaml({**SPACE, **sections}))
        return str(path)

    return write


def plan_of(*args: str):
    return make_plan(parse(list(args))[0])


def resumed(plan, *args: str, **changes):
    """The plan as `--resume` with these arguments makes it, through a file's text."""
    record = {**yaml.safe_load(write_yaml(plan.to_record("beef"))), **changes}
    options, given_now = parse(["--resume", *args])
    return plan_from_record(record, dataclasses.replace(options, name=options.name or "mine"), given_now)


def test_epochs_are_said_by_stage(space):
    plan = plan_of("--space", space(), "--epochs", "6")
    assert plan.epochs_text == "at most 6 epochs each, after at most 2 of their backbone"
    assert plan.epochs_of({"model.heads": 2}) == (2, 6) and plan.epochs == 8
    assert plan_of("--space", space(base={"train": {"epochs": 7}})).epochs_text == "at most 7 epochs each"


def test_settings_are_those_of_space_options_and_set(space):
    plan = plan_of("--space", space(), "--dataset", "toys", "--seed", "3", "--set", "model.dim=32", "--epochs", "5")
    experiment = plan.experiment
    assert (experiment.data.name, experiment.seed, experiment.model.dim) == ("toys", 3, 32)
    assert (experiment.train.epochs, experiment.train.metric, experiment.backbone.epochs) == (5, "ndcg@10", 2)
    assert list(plan.space.search) == ["model.heads", "model.experts"]
    assert list(plan_of("--space", space(), "--set", "model.heads=4").space.search) == ["model.experts"]


def test_the_folder_of_an_encoder_is_found_from_other_folders(space, tmp_path, monkeypatch):
    (tmp_path / "mine").mkdir()
    monkeypatch.chdir(tmp_path)
    in_file = {"base": {**SPACE["base"], "text": {"encoder": "mine"}}}
    for plan in (plan_of("--space", space(), "--set", "text.encoder=mine"), plan_of("--space", space(**in_file))):
        assert plan.experiment.text.encoder == str(tmp_path / "mine")
    assert plan_of("--space", space()).experiment.text.encoder == "all-MiniLM-L6-v2"
    choices = {"text.encoder": {"choices": ["mine", "all-MiniLM-L6-v2"]}}
    searched = plan_of("--space", space(search=choices, start=[{"text.encoder": "mine"}])).space
    assert searched.search["text.encoder"].domain.values() == (str(tmp_path / "mine"), "all-MiniLM-L6-v2")
    assert searched.start == ({"text.encoder": str(tmp_path / "mine")},)


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


def test_number_of_trials(space):
    assert plan_of("--space", space()).trials == 6
    assert plan_of("--space", space(search={"train.lr": {"low": 1e-4, "high": 1e-2}}, start=[])).trials == TRIALS
    assert plan_of("--space", space(), "--trials", "3").trials == 3
    assert plan_of("--space", space(), "--sampler", "grid").trials == 6
    assert plan_of("--space", space(), "--sampler", "grid", "--trials", "4").trials == 4
    assert plan_of("--space", space(), "--sampler", "grid", "--trials", "99").trials == 6


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_no_more_trials_than_the_space_has_configurations(space, sampler):
    for choices in ([2], [1, 2]):
        plan = plan_of(
            "--space",
            space(search={"model.heads": {"choices": choices}}, start=[]),
            "--trials",
            "5",
            "--sampler",
            sampler,
        )
        assert plan.trials == len(choices) and plan.exhausts
        words = (
            "the space has one configuration, and nothing is compared; search more keys"
            if choices == [2]
            else "2 trials are all"
        )
        assert words in summary.exhausted(plan)
    assert not plan_of("--space", space(), "--trials", "3", "--sampler", sampler).exhausts


def test_the_last_step_has_other_seeds_than_the_trials_and_not_more_configurations(space):
    assert plan_of("--space", space(), "--seed", "7", "--final-top", "2", "--final-seeds", "3").final_seeds == (
        8,
        9,
        10,
    )
    assert len(plan_of("--space", space(), "--final-top", "4", "--trials", "4").final_seeds) == 5
    with pytest.raises(UserError, match="--final-top 5: there are only 4 trials; lower it, or raise --trials"):
        plan_of("--space", space(), "--final-top", "5", "--trials", "4")


def test_a_model_takes_its_own_space_unless_another_is_named(space):
    assert plan_of("--model", "sasrec").space.source == "sasrec"
    assert plan_of().space.source == "quick"
    with pytest.raises(UserError, match=r"is a space for model 'fame', not for --model sasrec"):
        plan_of("--model", "sasrec", "--space", space())


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
        (["--model", "sasrec"], "--model sasrec: the sweep was started with fame"),
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


def test_a_budget_decides_trials_and_epochs():
    args = ("--dataset", "beauty", "--time-budget", "30m")
    plan = plan_of(*args).for_data(data_like(8.9), TWO_CORES)
    assert plan.planned is None and plan.trials == MOST_TRIALS
    whole = plan_of("--dataset", "beauty").for_data(data_like(8.9), TWO_CORES)
    assert plan.epochs <= whole.epochs and 1 <= plan.expected < 16
    assert (resumed(plan).planned, resumed(plan).expected) == (None, plan.expected)
    assert plan_of(*args, "--trials", "5").for_data(data_like(8.9), TWO_CORES).planned == 5


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


def data_like(average_length: float, *columns: str) -> Mock:
    items = SimpleNamespace(columns=dict.fromkeys(columns))
    statistics = {"users": 22_363, "items": 12_101, "actions": 198_502, "average_length": average_length}
    return Mock(items=items, statistics=statistics)


TWO_CORES = TrialShare(cores=1, gpus=0.0, at_a_time=2)


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
    assert {*wanted, "train.lr", "train.schedule", "model.dropout"} <= plan.space.search.keys()
    assert plan.trials >= 16 and not plan.demonstrates
    assert plan_of().demonstrates and plan_of().for_data(data_like(8.9), TWO_CORES) == plan_of()


def test_text_is_not_searched_where_items_have_none_nor_prefixes_of_long_histories():
    plan = plan_of("--dataset", "beauty").for_data(data_like(165.0, "genres_of_nothing"), TWO_CORES)
    assert not {"text.plain", "text.scale", "train.mode", "model.positions"} & plan.space.search.keys()
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
