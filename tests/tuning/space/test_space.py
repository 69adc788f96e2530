from __future__ import annotations

import itertools
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fame.config.tree import experiment_from_dict
from fame.errors import UserError
from fame.registry import models
from tests.tuning.space.trees import TREE, changed, searching
from tuning.space.file import default_space, fix, read_space, shipped_spaces, space_from_dict


@pytest.fixture(scope="module")
def space():
    return space_from_dict(TREE, "my.yaml")


def build(experiment, item_count: int):
    return models.get(experiment.model.name)(experiment.model, item_count, experiment.data.max_length)


@pytest.mark.parametrize("name", models.names())
def test_every_model_has_a_space_whose_points_build_it(name):
    space = read_space(default_space(name, True))
    assert space.model == name
    rng = random.Random(0)
    drawn = (space.draw(rng) for _ in range(200))
    for point in [*space.start, *itertools.islice((p for p in drawn if space.problem(p) is None), 5)]:
        experiment = experiment_from_dict(space.experiment(point))
        assert build(experiment, 5).scorer().item_count == 5


WIDE = ("sasrec", "sasrec_memory", "bsarec", "fame", "fame_memory")


@pytest.mark.parametrize("name", WIDE)
def test_fame_and_its_rivals_search_as_widely_in_what_they_share(name):
    """Else a comparison of tuned models would be one of spaces."""
    space, other = read_space(name), read_space("fame")
    for key in (space.search.keys() | other.search.keys()) & space.defaults.keys() & other.defaults.keys():
        if not key.startswith("backbone."):  # SASRec and BSARec are the backbone
            assert space.search[key] == other.search[key], key
    assert space.fixed.keys() == other.fixed.keys()


@pytest.mark.parametrize("name", [name for name in shipped_spaces() if name not in (*WIDE, "quick")])
def test_the_papers_baselines_search_as_widely_in_what_they_share(name):
    space, other = read_space(name), read_space("cl4srec")
    if not list(build(experiment_from_dict(space.base), 5).parameters()):
        return  # nothing is trained, so nothing is shared
    shared = {*other.search} & {*space.defaults} & {*read_space("sasrec").defaults}
    if space.fixed.get("train.mode") == "prefix":
        shared.remove("train.batch_size")  # a step's prefixes are more than its sequences
    if "model.experts" in space.search:
        shared.remove("model.heads")  # there they are facets, of which the paper tries up to 16
    for key in shared:
        assert space.search[key].domain == other.search[key].domain, key
    for key in ("train.epochs", "train.patience"):
        assert space.fixed[key] == other.fixed[key]


def test_the_sweep_of_a_model_without_a_space():
    assert default_space("sasrec", False) == default_space("sasrec", True) == "sasrec"
    assert default_space("fame", True) == "fame" and default_space("fame", False) == "quick"
    assert default_space("mine", True) == "fame"


def test_start_points_take_what_they_leave_out_from_the_experiment(space):
    assert space.start == (
        {"model.heads": 2, "model.dim": 16, "model.dropout": 0.5, "backbone.epochs": 0},
        {"model.heads": 3, "model.dim": 12, "model.dropout": 0.5, "backbone.epochs": 5, "backbone.lr": 0.001},
    )


def test_experiment_joins_base_and_point(space):
    tree = space.experiment({"model.heads": 4, "backbone.epochs": 5})
    assert tree == {"model": {"name": "fame", "heads": 4}, "train": {"epochs": 3}, "backbone": {"epochs": 5}}
    assert space.base == TREE["base"]


@given(seed=st.integers(0, 2**32))
@settings(max_examples=100, deadline=None)
def test_points_follow_conditions_and_have_clean_values(space, seed):
    point = space.draw(random.Random(seed))
    assert ("backbone.lr" in point) == (point["backbone.epochs"] > 0)
    assert all(value in space.search[key].domain for key, value in point.items())
    assert len(str(point["model.dropout"])) == 3
    assert (space.problem(point) is None) == (point["model.dim"] % point["model.heads"] == 0)


def test_conditions_chain():
    space = space_from_dict(
        searching(
            **{
                "backbone.query": {"choices": ["copy", "fresh"], "when": {"backbone.epochs": {"above": 0}}},
                "backbone.noise": {"low": 0, "high": 1, "when": {"backbone.query": "copy", "backbone.epochs": [5, 0]}},
            }
        )
    )
    rng = random.Random(0)
    points = [space.draw(rng) for _ in range(100)]
    assert all(("backbone.noise" in p) == (p.get("backbone.query") == "copy") for p in points)
    assert any("backbone.noise" in p for p in points)


def test_grid_and_size_count_allowed_points_only():
    search = {k: TREE["search"][k] for k in ("model.heads", "model.dim", "backbone.epochs")}
    search["backbone.query"] = {"choices": ["copy", "fresh"], "when": {"backbone.epochs": 5}}
    space = space_from_dict(changed(search=search, start=[]))
    grid = space.grid()
    pairs = [(h, d) for h in (1, 2, 3, 4) for d in (12, 16) if d % h == 0]
    assert len(grid) == len(pairs) * 3 == space.size()
    assert {(p["model.heads"], p["model.dim"]) for p in grid} == set(pairs)
    assert len({tuple(sorted(p.items())) for p in grid}) == len(grid)
    assert space.size_text() == "21 configurations"


def test_infinite_spaces_say_why(space):
    assert space.size() is None
    assert space.size_text() == "infinite (continuous: backbone.lr; the other keys: at most 96)"
    with pytest.raises(UserError, match=r"my.yaml: search.backbone.lr is continuous, which a grid cannot list: give"):
        space.grid()


def test_a_grid_that_is_too_large_is_refused():
    space = space_from_dict({"search": {"train.batch_size": {"low": 1, "high": 100_000}}})
    assert space.size_text() == "at most 100,000 configurations"
    with pytest.raises(UserError, match="100,000 points is too large: use --sampler random"):
        space.grid()


def test_fixing_keys_removes_them_from_the_search(space):
    fixed = fix(space, {"model": {"dim": 12}, "backbone.epochs": 5, "train.epochs": 7})
    assert list(fixed.search) == ["model.heads", "model.dropout", "backbone.lr"]
    assert fixed.start == (
        {"model.heads": 2, "model.dropout": 0.5, "backbone.lr": 0.001},
        {"model.heads": 3, "model.dropout": 0.5, "backbone.lr": 0.001},
    )
    assert (fixed.base["train"], fixed.base["backbone"]) == ({"epochs": 7}, {"epochs": 5})


def test_fixing_leaves_possible_choices_and_start_points(space):
    fixed = fix(space, {"model.dim": 16})
    assert [point["model.heads"] for point in fixed.start] == [2]  # 3 heads no longer fit
    assert fix(fixed, {"model.heads": 4, "backbone.epochs": 0, "model.dropout": 0.2}).size() == 1
    assert space.start[1]["model.dim"] == 12
    assert space_from_dict(fixed.to_dict()) == fixed


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"model.dims": 3}, "my.yaml: base: unknown configuration key 'model.dims': did you mean 'dim'"),
        ({"model.heads": 5}, "none of 5,000 .* because constraint .* does not hold for model.heads = 5"),
        ({"train.lr": -1}, "my.yaml: base: train.lr = -1.0: must be positive"),
        ({"model.name": "fam"}, "unknown model 'fam': did you mean 'fame'"),
    ],
)
def test_fixing_what_cannot_be(space, settings, message):
    with pytest.raises(UserError, match=message):
        fix(space, settings)
