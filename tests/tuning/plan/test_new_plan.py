"""A plan is made from options, space and --set."""

from __future__ import annotations

import pytest

from fame.errors import UserError
from tests.tuning.plan.plans import SPACE, plan_of
from tuning.plan.new_plan import TRIALS
from tuning.plan.options import SAMPLERS
from tuning.terminal import summary


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
    assert plan_of("--space", "sasrec").options.asked_model == "sasrec"
    with pytest.raises(UserError, match=r"is a space for model 'fame', not for --model sasrec"):
        plan_of("--model", "sasrec", "--space", space())
