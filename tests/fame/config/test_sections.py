"""Experiments as YAML: what goes in comes back, and each mistake is one clear line."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fame.config import BackboneConfig, DataConfig, EvaluateConfig, Experiment, TextConfig, TrainConfig
from fame.config.tree import (
    experiment_from_dict,
    read_experiment,
    to_dict,
    write_yaml,
)
from fame.errors import UserError
from fame.models.fame import FameConfig
from fame.models.sasrec import SASRecConfig
from tests.fame.config.refused import assert_refused

positive = st.floats(1e-12, 1e6)
share = st.floats(0, 1, exclude_max=True)
text = st.text("ab0159.eé:#-'\"[{&*!%@~ \n\t", max_size=12)


def maybe(strategy: st.SearchStrategy) -> st.SearchStrategy:
    return st.none() | strategy


data_configs = st.builds(
    DataConfig,
    name=text,
    dir=maybe(text),
    path=text,
    columns=maybe(st.dictionaries(text, text, max_size=4)),
    items=maybe(text),
    size=maybe(st.dictionaries(text, st.integers(1, 1000), max_size=3)),
    recipe=maybe(text),
    min_rating=maybe(st.floats(0, 5)),
    core=maybe(st.integers(1, 20)),
    min_history=maybe(st.integers(3, 9)),
    max_history=maybe(st.just(0) | st.integers(9, 99)),
    repeats=maybe(st.sampled_from(["keep", "drop"])),
    max_length=st.integers(1, 500),
    fingerprint=maybe(text),
)
plain_model = {
    "dim": st.just(24),
    "blocks": st.integers(1, 4),
    "heads": st.sampled_from([1, 2, 3, 4, 6, 8, 12, 24]),
    "inner": st.integers(1, 4),
    "dropout": share,
    "attention_dropout": share,
    "positions": st.sampled_from(["relative", "absolute", "none"]),
    "activation": st.sampled_from(["gelu", "relu"]),
    "attention_residual": st.booleans(),
    "init": st.sampled_from(["normal", "xavier"]),
    "init_std": positive,
}
fame_model = st.builds(
    FameConfig,
    **plain_model,
    experts=st.integers(1, 32),
    facet_norm=st.sampled_from(["joint", "facet"]),
    expert_masks=st.sampled_from(["own", "shared"]),
    facet_init=st.sampled_from(["slice", "random"]),
    facet_scale=maybe(positive),
)
models = st.builds(SASRecConfig, **plain_model) | fame_model
losses = st.one_of(
    st.fixed_dictionaries({}, optional={"label_smoothing": st.floats(0, 1, exclude_max=True)}),
    st.fixed_dictionaries(
        {"loss": st.sampled_from(["sampled_softmax", "gbce"])},
        optional={"negatives": st.integers(1, 9999), "negatives_power": st.floats(0, 1)},
    ),
    st.fixed_dictionaries({"loss": st.just("gbce"), "gbce_t": st.floats(0, 1)}),
)
trains = st.builds(
    lambda loss, **settings: TrainConfig(**loss, **settings),
    loss=losses,
    mode=st.sampled_from(["all", "prefix"]),
    epochs=st.integers(1, 500),
    batch_size=st.integers(1, 4096),
    optimizer=st.sampled_from(["adam", "adamw"]),
    lr=positive,
    weight_decay=st.floats(0, 1),
    warmup_steps=st.integers(0, 1000),
    schedule=st.sampled_from(["constant", "linear", "cosine"]),
    clip_norm=st.floats(0, 10),
    patience=st.integers(0, 50),
    metric=st.sampled_from(["hr@10", "ndcg@10"]),
    precision=st.sampled_from(["auto", "float32", "bfloat16"]),
    threads=st.integers(0, 64),
)
evaluates = st.builds(
    EvaluateConfig,
    cutoffs=st.lists(st.integers(1, 100).filter(lambda k: k != 10), unique=True, max_size=4).map(lambda c: (*c, 10)),
    exclude_seen=st.booleans(),
)
seeds = st.integers(0, 2**31)
contrast = {
    "facet_count": st.integers(0, 9),
    "rare": st.integers(2, 50),
    "temperature": positive,
    "period": st.integers(1, 99),
    "lr": positive,
    "batch_size": st.integers(4, 999),
    "dropout": share,
}
text_use = {"scale": positive, "freeze_epochs": st.integers(0, 9), "delta": st.floats(0, 9)}
names = maybe(st.lists(text, min_size=1, max_size=3, unique=True).map(tuple))
text_source = {"encoder": text, "columns": names, "facets": names, "skip_layers": st.integers(0, 9)}
texts = st.one_of(
    st.builds(TextConfig, **text_source),
    st.builds(TextConfig, plain=st.just(True), **text_source, **text_use),
    st.builds(TextConfig, epochs=st.integers(1, 50), **text_source, **text_use, **contrast),
)
with_backbone = st.builds(
    Experiment,
    text=texts,
    data=data_configs,
    model=fame_model,
    train=trains,
    evaluate=evaluates,
    backbone=st.builds(
        BackboneConfig,
        epochs=st.integers(1, 50),
        lr=positive,
        query=st.sampled_from(["copy", "fresh"]),
        noise=st.floats(0, 3),
    ),
    seed=seeds,
)
without_backbone = st.builds(Experiment, data=data_configs, model=models, train=trains, evaluate=evaluates, seed=seeds)
experiments = with_backbone | without_backbone


@given(experiments)
def test_plain_values_and_back_give_an_equal_experiment(experiment):
    assert experiment_from_dict(to_dict(experiment)) == experiment


@given(experiments)
def test_a_yaml_file_and_back_give_an_equal_experiment(tmp_path_factory, experiment):
    path = tmp_path_factory.mktemp("config") / "experiment.yaml"
    path.write_text(write_yaml(to_dict(experiment)), encoding="utf-8")
    assert read_experiment(path) == experiment


def test_every_key_is_written_so_that_a_change_of_a_default_changes_no_old_experiment():
    tree = to_dict(Experiment())
    for section, config in {"model": FameConfig, "train": TrainConfig, "data": DataConfig}.items():
        assert list(tree[section]) == [field.name for field in dataclasses.fields(config)]


@pytest.mark.parametrize("tree", [{}, {"model": None}, {"train": None, "data": None}, {"model": {"name": "fame"}}])
def test_nothing_said_is_the_default_experiment(tree):
    assert experiment_from_dict(tree) == Experiment()


def test_the_model_section_is_that_of_the_named_model():
    assert experiment_from_dict({"model": {"name": "sasrec", "dim": 32}}).model == SASRecConfig(dim=32)


SHARDED = {"loss": "gbce", "shard_items": True}


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        # Unknown names, with the nearest known one.
        ({"model": {"head": 2}}, "unknown configuration key 'model.head': did you mean 'heads'?"),
        ({"trian": {}}, "unknown configuration key 'trian': did you mean 'train'?"),
        ({"model": {"name": "sasrec", "experts": 2}}, "unknown configuration key 'model.experts'"),
        ({"model": {"name": "famee"}}, "unknown model 'famee': did you mean 'fame'?"),
        ({1: 2}, "unknown configuration key '1'"),
        # Types.
        ({"model": {"attention_residual": 1}}, "model.attention_residual = 1: must be of type bool"),
        ({"evaluate": {"cutoffs": 10}}, "evaluate.cutoffs = 10: must be a list"),
        ({"evaluate": {"cutoffs": ["x"]}}, "evaluate.cutoffs = 'x': must be of type int"),
        ({"data": {"columns": ["user"]}}, "data.columns = ['user']: must be a mapping"),
        ({"data": {"size": {"users": "many"}}}, "data.size.users = 'many': must be of type int"),
        ({"data": {"dir": 3}}, "data.dir = 3: must be of type str"),
        ({"train": 3}, "train = 3: must be a mapping"),
        ({"model": ["fame"]}, "model = ['fame']: must be a mapping"),
        ({"model": []}, "model = []: must be a mapping"),
        ({"seed": "x"}, "seed = 'x': must be of type int"),
        ({"seed": -1}, "seed = -1: must be at least 0"),
        ({"seed": 2**64}, "must be at least 0 and below 2**63"),
        ([], "configuration = []: must be a mapping"),
        ("x", "configuration = 'x': must be a mapping"),
        # Rules (those of the model section are in test_model.py).
        ({"data": {"max_length": 0}}, "data.max_length = 0: must be at least 1"),
        ({"data": {"min_rating": -1}}, "data.min_rating = -1.0: must be at least 0"),
        ({"data": {"core": 0}}, "data.core = 0: must be at least 1"),
        ({"data": {"min_history": 2}}, "data.min_history = 2: must be at least 3"),
        ({"data": {"max_history": 2}}, "data.max_history = 2: must be 0 (no limit) or at least data.min_history = 3"),
        ({"data": {"min_history": 5, "max_history": 4}}, "data.max_history = 4: must be 0 (no limit) or at least"),
        ({"data": {"columns": {"user": "u"}}}, "data.columns = {'user': 'u'}: needs data.path"),
        ({"data": {"items": "items.csv"}}, "data.items = 'items.csv': needs data.path"),
        ({"train": SHARDED, "model": {"name": "fame_memory"}}, "train.shard_items = True: does not go with model.name = fame_memory, which reads"),
        ({"train": SHARDED, "model": {"labels": True}}, "train.shard_items = True: does not go with model.name = fame with labels, which reads"),
        ({"train": SHARDED, "text": {"plain": True}}, "train.shard_items = True: does not go with text, which reads"),
        ({"train": SHARDED, "backbone": {"epochs": 2}}, "train.shard_items = True: does not go with backbone.epochs = 2, which reads"),
        ({"train": SHARDED, "evaluate": {"metrics": ["ndcg", "coverage"]}}, "does not go with evaluate.metrics = coverage@5, coverage@10, coverage@20, which reads"),
        ({"train": {"metric": "mrr"}}, "train.metric = 'mrr': must be one of hr@5, ndcg@5, recall@5"),
        ({"train": {"metric": "ndcg@7"}}, "train.metric = 'ndcg@7': must be one of hr@5, ndcg@5, recall@5"),
        ({"backbone": {"epochs": -1}}, "backbone.epochs = -1: must be at least 0"),
        ({"backbone": {"lr": 0}}, "backbone.lr = 0.0: must be positive"),
        ({"backbone": {"noise": -1}}, "backbone.noise = -1.0: must be at least 0"),
        ({"backbone": {"epochs": 1}, "model": {"name": "sasrec"}}, "backbone.epochs = 1: model 'sasrec' has no backbone"),
        ({"evaluate": {"cutoffs": []}}, "evaluate.cutoffs = (): needs at least one cutoff"),
        ({"evaluate": {"cutoffs": [0]}}, "evaluate.cutoffs = (0,): each must be at least 1"),
        ({"evaluate": {"cutoffs": [10, 10]}}, "evaluate.cutoffs = (10, 10): must not repeat"),
        ({"evaluate": {"metrics": ["auc"]}}, "evaluate.metrics = ('auc',): each must be one of hr, ndcg, recall"),
        ({"evaluate": {"metrics": ["hr", "hr"]}}, "evaluate.metrics = ('hr', 'hr'): each must be one of hr, ndcg"),
        ({"evaluate": {"metrics": ["diversity"]}}, "evaluate.metrics = ('diversity',): each must be one of hr"),
    ],
)  # fmt: skip
def test_each_mistake_is_one_line_that_names_the_key_the_value_and_the_rule(tree, message):
    assert_refused(tree, message)


def test_a_large_width_is_checked_at_once():
    assert FameConfig(dim=10**12, heads=1).dim == 10**12


def test_positions_counted_from_the_newest_item_need_prefix_samples() -> None:
    tree = {"model": {"positions": "absolute_right"}}
    with pytest.raises(UserError, match=r"model.positions = 'absolute_right': .* needs train.mode = prefix"):
        experiment_from_dict(tree)
    assert experiment_from_dict({**tree, "train": {"mode": "prefix"}}).model.positions == "absolute_right"
