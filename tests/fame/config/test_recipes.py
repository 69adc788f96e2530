"""A recipe fills in what the file leaves open, as far as the model has it."""

from __future__ import annotations

import pytest

from fame.config.recipes import RECIPES, with_recipe
from fame.config.tree import experiment_from_dict
from fame.errors import UserError
from fame.registry import models


def test_what_a_file_says_wins_over_its_recipe_and_the_file_stays_as_it_is() -> None:
    """BSARec has each of the recipe's settings."""
    tree = {"recipe": "lineage", "model": {"name": "bsarec", "init": "normal"}, "train": {"lr": 1.0}}
    found = with_recipe(tree)
    assert "recipe" not in found and found["train"] == {**RECIPES["lineage"]["train"], "lr": 1.0}
    assert found["model"] == {**RECIPES["lineage"]["model"], "name": "bsarec", "init": "normal"}
    assert tree["train"] == {"lr": 1.0}


@pytest.mark.parametrize(("name", "model"), [("paper", "fame"), *(("lineage", model) for model in models.names())])
def test_a_recipe_fits_its_models(name: str, model: str) -> None:
    experiment_from_dict({"recipe": name, "model": {"name": model}})


def test_an_unknown_recipe_names_the_nearest() -> None:
    with pytest.raises(UserError, match=r"recipe = 'papr': did you mean 'paper'"):
        with_recipe({"recipe": "papr"})
