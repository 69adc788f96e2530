from __future__ import annotations

import copy
import itertools
import random
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fame.config.tree import experiment_from_dict, flatten, to_dict, write_yaml
from fame.errors import UserError
from fame.registry import models
from tuning.space.domains import Choices, FloatRange, IntRange, read_constraint
from tuning.space.file import default_space, fix, read_space, shipped_spaces, space_from_dict

TREE = {
    "base": {"model": {"name": "fame"}, "train": {"epochs": 3}},
    "search": {
        "model.heads": {"choices": [1, 2, 3, 4]},
        "model.dim": {"choices": [12, 16]},
        "model.dropout": {"low": 0.1, "high": 0.6, "step": 0.1},
        "backbone.epochs": {"choices": [0, 5]},
        "backbone.lr": {"low": "1e-4", "high": 1e-2, "log": True, "when": {"backbone.epochs": {"above": 0}}},
    },
    "constraints": ["model.heads divides model.dim"],
    "start": [{"model": {"heads": 2, "dim": 16}}, {"model.heads": 3, "model.dim": 12, "backbone.epochs": 5}],
}


def changed(**sections) -> dict:
    return {**copy.deepcopy(TREE), **sections}


def searching(**keys) -> dict:
    return changed(search={**TREE["search"], **keys})


@pytest.fixture(scope="module")
def space():
    return space_from_dict(TREE, "my.yaml")


@pytest.mark.parametrize("name", shipped_spaces())
def test_shipped_spaces_read_and_start_with_complete_points(name):
    space = read_space(name)
    assert space.start
    rng = random.Random(0)
    for point in [*space.start, *(space.draw(rng) for _ in range(50))]:
        if space.problem(point) is None:
            flat = flatten(to_dict(experiment_from_dict(space.experiment(point))))
            assert all(flat[key] == value for key, value in point.items())


def test_the_papers_settings_come_first():
    for name in ("quick", "paper"):
        first = read_space(name).start[0]
        assert (first["model.heads"], first["model.experts"]) == (2, 4)


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


def test_reads_types_and_writes_what_it_read(space, tmp_path):
    assert space.search["model.heads"].domain == Choices((1, 2, 3, 4))
    assert space.search["backbone.lr"].domain == FloatRange(1e-4, 1e-2, log=True)
    file = tmp_path / "space.yaml"
    file.write_text(write_yaml(space.to_dict()))
    assert read_space(file) == space
    assert ("backbone.lr", "0.0001 to 0.01, log", "backbone.epochs > 0") in space.describe()


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


def test_a_missing_space_lists_those_that_ship(tmp_path):
    with pytest.raises(UserError, match="no space file 'papr': did you mean 'paper'"):
        read_space("papr")
    with pytest.raises(UserError, match="no such file"):
        read_space(tmp_path / "mine.yaml")


def test_a_width_that_only_the_searched_heads_fit():
    search = {"model.heads": {"choices": [3, 5]}, "train.lr": {"choices": [1]}}
    assert space_from_dict({"base": {"model": {"dim": 15}}, "search": search}).size() == 2


@pytest.mark.parametrize("text", ["3 divides a", "a <= b", "a < 2", "a >= 1.5", "b > a", "a == 6", "a != b"])
def test_constraint_forms(text):
    constraint = read_constraint(text)
    assert constraint.holds({"a": 6, "b": 7}) == (text != "a < 2")
    assert str(constraint) == text


def test_ranges_include_both_ends():
    assert FloatRange(0.1, 0.6, step=0.1).values() == [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]
    assert list(IntRange(1, 7, step=3).values()) == [1, 4, 7]
    assert 0.25 not in FloatRange(0.1, 0.6, step=0.1)


def test_reading_a_space_needs_neither_ray_nor_optuna():
    code = (
        "import sys; from tuning.space.file import read_space; read_space('fame')\n"
        "assert not {'ray', 'optuna', 'mlflow', 'pandas'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_key_of_no_section_is_refused_with_its_line(tmp_path):
    """The sweep sets `seed` itself, so a searched one would be dropped."""
    file = tmp_path / "seeds.yaml"
    file.write_text("search:\n  train.lr: {low: 1.0e-4, high: 1.0e-2}\n  seed: {choices: [0, 1]}\n")
    with pytest.raises(UserError, match=r"seeds.yaml, line 3: search.seed: is no key of a section \(backbone, data, "):
        read_space(file)
    file.write_text("search:\n  train.lr: {choices: [1.0]}\n  train.lr: {choices: [2.0]}\n")
    with pytest.raises(UserError, match=r"the key 'train.lr' stands in line 2 and again in line 3"):
        read_space(file)
