"""Objectives: every loss goes with every model, reads no more than it needs, and repeats."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

import fame.losses.objective
from fame.config import SAMPLED_LOSSES, TrainConfig
from fame.datasets.batches import Batch, Batcher, device_values
from fame.datasets.sequences import target_counts, training_windows
from fame.losses.objective import Sampled, Softmax, make_objective
from fame.losses.sampled import bpr_max, gbce, gbce_beta, sampled_softmax, top1_max
from fame.models.fame import Fame, FameConfig
from fame.training.loop import StageRun
from fame.training.stages import stages
from tests.fame.helpers import CPU, cyclic_sequences, experiment

SAMPLED = {
    "sampled_softmax": TrainConfig(loss="sampled_softmax", negatives=8, precision="float32"),
    "gbce": TrainConfig(loss="gbce", negatives=8, precision="float32"),
    "bpr_max": TrainConfig(loss="bpr_max", negatives=8, bpr_max_penalty=0.3, precision="float32"),
    "top1_max": TrainConfig(loss="top1_max", negatives=8, precision="float32"),
}


def model_and_batch(sequences, mode: str = "all") -> tuple[Fame, Batch]:
    torch.manual_seed(0)
    model = Fame(FameConfig(dim=8, inner=2, init_std=0.3, dropout=0.0, attention_dropout=0.0), sequences.item_count, 6)
    batcher = Batcher(device_values(sequences, CPU), training_windows(sequences, mode, 6))
    return model, next(batcher.epoch(8, np.random.default_rng(0)))


def started(train: TrainConfig, sequences, seed: int = 0) -> Sampled:
    objective = make_objective(train, sequences, CPU)
    objective.start_epoch(np.random.default_rng(seed))
    return objective


@pytest.mark.parametrize("mode", ["all", "prefix"])
@pytest.mark.parametrize("name", SAMPLED)
def test_a_sampled_loss_is_that_of_the_models_scores(name, mode, tiny):
    model, batch = model_and_batch(tiny, mode)
    loss = model(batch, started(SAMPLED[name], tiny))
    drawn_by = started(SAMPLED[name], tiny)
    negatives = drawn_by.proposal.draw(8, drawn_by.generator)
    if mode == "prefix":
        queries = model.encode(batch.items_BT, batch.lengths_B)
    else:
        queries = model.hidden(batch.items_BT, batch.lengths_B).flatten(0, 1)[batch.positions_R]
    scores = queries @ model.item_table().T
    positive = scores.gather(1, batch.targets_R[:, None] - 1)[:, 0]
    negative = scores[:, negatives - 1].masked_fill(batch.targets_R[:, None] == negatives, float("-inf"))
    if name == "gbce":
        beta = gbce_beta(8, tiny.item_count, 0.75)
        expected = gbce(positive + math.log(beta / 8), negative + math.log(beta / 8), beta)
    elif name == "bpr_max":
        expected = bpr_max(positive, negative, 0.3)
    elif name == "top1_max":
        expected = top1_max(positive, negative)
    else:
        weights = np.sqrt(np.maximum(target_counts(tiny), 1))
        q = torch.from_numpy(weights / weights.sum()).float()
        expected = sampled_softmax(positive, negative, (8 * q[negatives - 1]).log())
    torch.testing.assert_close(loss, expected)


def test_the_exact_loss_is_the_default_and_cross_entropy(tiny):
    model, batch = model_and_batch(tiny, "prefix")
    assert isinstance(make_objective(TrainConfig(), tiny, CPU), Softmax)
    scores = model.encode(batch.items_BT, batch.lengths_B) @ model.item_table().T
    expected = F.cross_entropy(scores, batch.targets_R - 1, reduction="sum")
    torch.testing.assert_close(model(batch, Softmax("float32")), expected, rtol=1e-5, atol=1e-5)


def test_label_smoothing_is_that_of_the_models_scores(tiny):
    model, batch = model_and_batch(tiny, "prefix")
    scores = model.encode(batch.items_BT, batch.lengths_B) @ model.item_table().T
    expected = F.cross_entropy(scores, batch.targets_R - 1, reduction="sum", label_smoothing=0.2)
    objective = make_objective(TrainConfig(label_smoothing=0.2, precision="float32"), tiny, CPU)
    torch.testing.assert_close(model(batch, objective), expected, rtol=1e-5, atol=1e-5)


def test_every_sampled_loss_of_the_configuration_has_an_objective():
    assert set(fame.losses.objective.SAMPLED) == set(SAMPLED_LOSSES) == set(SAMPLED)


def test_with_very_many_negatives_the_sampled_softmax_is_the_exact_one(tiny):
    model, batch = model_and_batch(tiny)
    exact = model(batch, Softmax("float32"))
    for power in (0.0, 1.0):
        train = dataclasses.replace(SAMPLED["sampled_softmax"], negatives=100_000, negatives_power=power)
        torch.testing.assert_close(model(batch, started(train, tiny)), exact, rtol=0.01, atol=0)


@pytest.mark.parametrize("t", [0.0, 0.75, 1.0])
def test_a_model_that_scores_every_item_zero_is_where_no_constant_lowers_gbce(t, tiny):
    train = dataclasses.replace(SAMPLED["gbce"], negatives=1000, gbce_t=t)
    objective = make_objective(train, dataclasses.replace(tiny, item_count=100_000), CPU)
    constant = torch.zeros((), requires_grad=True)
    scores = constant.expand(3, 1001)
    objective.loss(scores[:, 0], scores[:, 1:], torch.arange(1000)).backward()
    assert constant.grad.abs() < 0.01 * objective.beta * 3


def test_negatives_repeat_with_the_epochs_generator_and_differ_from_step_to_step(tiny):
    model, batch = model_and_batch(tiny)
    losses = []
    for seed in (0, 0, 1):
        objective = started(SAMPLED["gbce"], tiny, seed)
        losses.append([model(batch, objective).item() for _ in range(2)])
    assert losses[0] == losses[1] != losses[2]
    assert losses[0][0] != losses[0][1]


@pytest.mark.parametrize("name", SAMPLED)
def test_bfloat16_products_are_near_and_not_the_float32_ones(name, tiny):
    model, batch = model_and_batch(tiny)
    exact = model(batch, started(SAMPLED[name], tiny))
    low = model(batch, started(dataclasses.replace(SAMPLED[name], precision="bfloat16"), tiny))
    assert low.dtype is torch.float32
    assert low != exact
    torch.testing.assert_close(low, exact, rtol=2**-7, atol=0)


# ---- A step reads and writes rows of the table, never the table.


@pytest.mark.parametrize("clip_norm", [0.0, 0.01])
@pytest.mark.parametrize("name", SAMPLED)
def test_no_step_touches_every_item(name, clip_norm, single):
    """But the first, which makes the moments."""
    sequences = dataclasses.replace(cyclic_sequences(users=20, item_count=30, longest=8, seed=0), item_count=50_000)
    settings = experiment(
        train={"loss": name, "negatives": 16, "batch_size": 10, "weight_decay": 1e-3, "clip_norm": clip_norm}
    )
    run = StageRun(settings, stages(settings)[0], sequences, single, {}, None)
    run.train_epoch(1, 0)
    written = 0

    class Watch(TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            nonlocal written
            out = func(*args, **(kwargs or {}))
            in_place = {"aten::index_put_", "aten::detach"}
            if func._schema.name not in in_place and isinstance(out, torch.Tensor) and not out.is_sparse:
                written = max(written, out.numel())
            return out

    with Watch():
        run.train_epoch(2, 1)
    assert 0 < written < 50_000


def test_a_model_without_an_embedding_trains_on_the_rows_of_its_table(tiny):
    class Hidden(Fame):
        def item_embedding(self) -> None:
            return None

    model, batch = model_and_batch(tiny)
    loss = model(batch, started(SAMPLED["gbce"], tiny))
    model.__class__ = Hidden
    torch.testing.assert_close(model(batch, started(SAMPLED["gbce"], tiny)), loss)


@pytest.mark.parametrize("name", ["softmax", *SAMPLED])
def test_the_tables_gradient_has_rows_with_a_sampled_loss_and_only_then(name, tiny, single):
    settings = experiment(train={"loss": name, **({} if name == "softmax" else {"negatives": 4})})
    run = StageRun(settings, stages(settings)[0], tiny, single, {}, None)
    batch = next(run.batcher.epoch(2, np.random.default_rng(0)))
    run.objective.start_epoch(np.random.default_rng(0))
    run.model(batch, run.objective).backward()
    grad = run.model.items.weight.grad
    assert grad.is_sparse == (name != "softmax")
    if grad.is_sparse:
        assert 0 not in grad.coalesce().indices()
        assert math.isfinite(grad.coalesce().values().norm())
