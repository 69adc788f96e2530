"""The rules of the section train."""

from __future__ import annotations

import pytest

from fame.config.tree import experiment_from_dict
from tests.fame.config.refused import assert_refused


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        ({"train": {"learning_rate": 1}}, "unknown configuration key 'train.learning_rate'"),
        ({"train": {"epochs": "ten"}}, "train.epochs = 'ten': must be of type int"),
        ({"train": {"epochs": 2.0}}, "train.epochs = 2.0: must be of type int"),
        ({"train": {"epochs": True}}, "train.epochs = True: must be of type int"),
        ({"train": {"epochs": None}}, "train.epochs = None: must be of type int"),
        ({"train": {"lr": "fast"}}, "train.lr = 'fast': must be of type float"),
        ({"train": {"lr": True}}, "train.lr = True: must be of type float"),
        ({"train": {"lr": [1]}}, "train.lr = [1]: must be of type float"),
        ({"train": {"lr": ".nan"}}, "train.lr = '.nan': must be of type float"),
        ({"train": {"lr": float("nan")}}, "train.lr = nan: must be a finite number"),
        ({"train": {"lr": "inf"}}, "train.lr = inf: must be a finite number"),
        ({"train": {"lr": 10**400}}, "must be of type float"),
        ({"train": {"mode": "some"}}, "train.mode = 'some': must be one of all, prefix"),
        ({"train": {"mode": ["all"]}}, "train.mode = ['all']: must be one of all, prefix"),
        ({"train": {"epochs": 0}}, "train.epochs = 0: must be at least 1"),
        ({"train": {"batch_size": 0}}, "train.batch_size = 0: must be at least 1"),
        ({"train": {"warmup_steps": -1}}, "train.warmup_steps = -1: must be at least 0"),
        ({"train": {"patience": -1}}, "train.patience = -1: must be at least 0"),
        ({"train": {"threads": -1}}, "train.threads = -1: must be at least 0"),
        ({"train": {"lr": 0}}, "train.lr = 0.0: must be positive"),
        ({"train": {"weight_decay": -1}}, "train.weight_decay = -1.0: must be at least 0"),
        ({"train": {"clip_norm": -1}}, "train.clip_norm = -1.0: must be at least 0"),
        ({"train": {"loss": "bce"}}, "train.loss = 'bce': must be one of softmax, sampled_softmax, gbce"),
        ({"train": {"label_smoothing": 1}}, "train.label_smoothing = 1.0: must be in [0, 1)"),
        ({"train": {"loss": "gbce", "label_smoothing": 0.1}}, "train.label_smoothing = 0.1: is ignored by train.loss = gbce"),
        ({"train": {"targets": 4}}, "train.targets = 4: needs train.mode = prefix; use 1"),
        ({"train": {"negatives": 9}}, "train.negatives = 9: is ignored by train.loss = softmax; leave it out, or use sampled_softmax or gbce"),
        ({"train": {"negatives_power": 0}}, "train.negatives_power = 0.0: is ignored by train.loss = softmax"),
        ({"train": {"gbce_t": 0}}, "train.gbce_t = 0.0: is ignored by train.loss = softmax"),
        ({"train": {"loss": "sampled_softmax", "gbce_t": 0.5}}, "train.gbce_t = 0.5: is ignored by train.loss = sampled_softmax"),
        ({"train": {"loss": "gbce", "negatives": 0}}, "train.negatives = 0: must be at least 1"),
        ({"train": {"loss": "gbce", "negatives_power": 2}}, "train.negatives_power = 2.0: must be between 0 and 1"),
        ({"train": {"loss": "gbce", "gbce_t": -1}}, "train.gbce_t = -1.0: must be between 0 and 1"),
        ({"train": {"shard_items": True}}, "train.shard_items = True: needs a sampled loss, and train.loss is softmax; use sampled_softmax, gbce"),
    ],
)  # fmt: skip
def test_each_mistake_is_one_line_that_names_the_key_the_value_and_the_rule(tree, message):
    assert_refused(tree, message)


@pytest.mark.parametrize("loss", ["sampled_softmax", "gbce", "bpr_max", "top1_max"])
def test_a_table_may_lie_on_several_workers_with_every_sampled_loss(loss):
    assert experiment_from_dict({"train": {"loss": loss, "shard_items": True}}).train.shard_items
