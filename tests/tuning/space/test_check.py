"""Bad spaces are one clear line."""

from __future__ import annotations

import pytest

from fame.errors import UserError
from tests.tuning.space.trees import changed, searching
from tuning.space.file import space_from_dict


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        (searching(**{"model.head": {"choices": [1]}}), "search.model.head: unknown key .* did you mean 'model"),
        (searching(**{"modell.heads": {"choices": [1]}}), "search.modell.heads: unknown key"),
        (searching(**{"train.lr": {"low": 2, "high": 1}}), r"search.train.lr: low = 2.0: must be below high = 1.0"),
        (searching(**{"train.lr": {"low": 0, "high": 1, "log": True}}), "low = 0.0: must be positive on a log scale"),
        (searching(**{"train.lr": {"low": 0, "hi": 1}}), "unknown setting 'hi': did you mean 'high'"),
        (searching(**{"train.lr": {"low": 1}}), "search.train.lr: high is missing"),
        (searching(**{"train.lr": [1, 2]}), r"search.train.lr: \[1, 2\]: must be"),
        (searching(**{"train.lr": {"low": 0.1, "high": "x"}}), "high = 'x': must be a finite number"),
        (searching(**{"train.lr": {"low": 0.1, "high": 0.5, "step": 0.3}}), "step = 0.3: must divide high - low"),
        (searching(**{"train.lr": {"low": 0.1, "high": 0.5, "step": 0}}), "step = 0.0: must be positive"),
        (searching(**{"train.lr": {"low": 0.1, "high": 0.5, "step": 0.1, "log": True}}), "be combined with log"),
        (searching(**{"train.lr": {"low": -0.1, "high": 0.5}}), "search.train.lr: train.lr = -0.1: must"),
        (searching(**{"train.epochs": {"low": 1, "high": 5}}), "search.train.epochs: is set in 'base' too"),
        (searching(**{"model.blocks": {"low": 1.5, "high": 3}}), "low = 1.5: must be a whole number"),
        (searching(**{"model.facet_norm": {"low": 1, "high": 3}}), "search.model.facet_norm: is not a number"),
        (
            searching(**{"model.facet_norm": {"choices": ["facet", "past"]}}),
            "model.facet_norm: model.facet_norm = 'past': must be",
        ),
        (searching(**{"model.heads": {"choices": []}}), "search.model.heads: choices = .*needs at least one"),
        (searching(**{"model.heads": {"choices": [1, 1]}}), "choices: 1 must be there only once"),
        (searching(**{"model.heads": {"choices": [[1]]}}), r"choices: \[1\] must be a number, a text"),
        ({"search": {"model.heads": {"choices": [1, 5]}}}, "search.model.heads: model.heads = 5: must divide"),
        (searching(**{"model.blocks": {"choices": [1, "two"]}}), "model.blocks = 'two': must be of type int"),
        (searching(**{"train.metric": {"choices": ["hr@5"]}}), "search.train.metric: trials that differ"),
        (searching(**{"train.validation_users": {"choices": [0, 9]}}), "search.train.validation_users: trials that"),
        (searching(**{"data.core": {"choices": [1, 5]}}), "search.data.core: trials that differ in it cannot"),
        (searching(**{"train.lr": {"choices": [1], "when": {"trai.lr": 1}}}), "unknown key 'trai.lr'"),
        (searching(**{"train.lr": {"choices": [1], "when": {"train.lr": 1}}}), "'train.lr' must come .*: move it"),
        (
            searching(**{"train.lr": {"choices": [1], "when": {"model.facet_norm": "facet"}}}),
            "before .*: set it in 'base'",
        ),
        (searching(**{"train.lr": {"choices": [1], "when": {"model.heads": 7}}}), "'model.heads = 7' cannot hold"),
        (searching(**{"train.lr": {"choices": [1], "when": {"model.heads": {"over": 7}}}}), "must be a value, a list"),
        (searching(**{"train.lr": {"choices": [1], "when": {"model.heads": {"above": 4}}}}), "> 4' cannot hold"),
        (searching(**{"train.lr": {"choices": [1], "when": {"train.epochs": 4}}}), "= 4' cannot hold: it is 3 in"),
        (changed(constraints=["model.heads divides"]), "constraints: .* must look like"),
        (changed(constraints=["__import__('os')"]), "constraints: .* must look like"),
        (changed(constraints=["model.head < 3"]), "constraint 'model.head < 3': unknown key 'model.head'"),
        (changed(constraints=["model.facet_norm < 3"]), "model.facet_norm must be a number; it can be 'joint'"),
        (changed(constraints=["model.heads > 4"], start=[]), "impossible space: none of 5,000 random configurations"),
        (changed(base={"train": {"epoch": 1}}), "base: unknown .* key 'train.epoch': did you"),
        (changed(base={"model": {"name": "famee"}}), "unknown model 'famee'"),
        (changed(start=[{"model.head": 2}]), "start point 1: 'model.head' is not searched: did you mean 'model"),
        (changed(start=[{}, {"model.heads": 7}]), "start point 1: model.dim = 64 .not given.* must be in {12, 16}"),
        (changed(start=[{"model.dim": 12, "model.heads": 7}]), "point 1: model.heads = 7: must be in {1,"),
        (changed(start=[{"model.dim": 16, "model.heads": 3}]), "start point 1: constraint 'model.heads"),
        (changed(start=[{"model.dim": 16, "backbone.lr": 1e-3}]), "'backbone.lr' must be left out: it"),
        (changed(start=[3]), "start point 1: 3: must be a mapping"),
        (changed(serch={}), "my.yaml: unknown section 'serch': did you mean 'search'"),
        (changed(search=[1]), r"my.yaml: search = \[1\]: must be a mapping"),
        (None, "my.yaml: must be a mapping"),
    ],
)
def test_bad_spaces_are_one_clear_line(tree, message):
    with pytest.raises(UserError, match=message) as caught:
        space_from_dict(tree, "my.yaml")
    assert "\n" not in str(caught.value)


def test_a_width_that_only_the_searched_heads_fit():
    search = {"model.heads": {"choices": [3, 5]}, "train.lr": {"choices": [1]}}
    assert space_from_dict({"base": {"model": {"dim": 15}}, "search": search}).size() == 2
