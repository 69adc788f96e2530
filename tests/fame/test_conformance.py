"""Every registered model keeps the promises that training, evaluation and serving rely on."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import pytest
import torch
from torch import Tensor, nn

from fame.config import ModelConfig
from fame.models.base import SequentialModel
from fame.registry import datasets, models
from fame.training.fit import fit
from tests.fame.conformance import (
    MODEL_CHECKS,
    WORKERS,
    data,
    evaluation_is_naive_evaluation,
    later_items_never_change_an_earlier_query,
    padding_never_matters,
    sharded_experiment,
    two_worker_experiment,
)
from tests.fame.gloo import gloo_processes


@dataclass(frozen=True, kw_only=True)
class OwnGruConfig(ModelConfig):
    """A user's own model: a GRU, its settings and one `register` line."""

    name: Literal["own-gru"] = "own-gru"
    dim: int = 8


class OwnGru(SequentialModel):
    Config = OwnGruConfig

    def __init__(self, config: OwnGruConfig, item_count: int, max_length: int) -> None:
        super().__init__()
        self.items = nn.Embedding(item_count + 1, config.dim, padding_idx=0)
        self.gru = nn.GRU(config.dim, config.dim, batch_first=True)

    def hidden(self, items_BT: Tensor, lengths_B: Tensor) -> Tensor:
        return self.gru(self.items(items_BT))[0]

    def item_table(self) -> Tensor:
        return self.items.weight[1:]


class SeesTheFuture(OwnGru):
    def hidden(self, items_BT: Tensor, lengths_B: Tensor) -> Tensor:
        return super().hidden(items_BT.flip(1), lengths_B).flip(1)


class CountsPadding(OwnGru):
    def hidden(self, items_BT: Tensor, lengths_B: Tensor) -> Tensor:
        return super().hidden(items_BT, lengths_B) * items_BT.shape[1]


@pytest.fixture
def register() -> Iterator:
    """Files a model for the length of a test."""
    names = []

    def call(name: str, model_class: type) -> str:
        models.register(name)(model_class)
        names.append(name)
        return name

    yield call
    for name in names:
        del models.entries[name]


@pytest.mark.parametrize("check", MODEL_CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", models.names())
def test_model(name, check, tmp_path):
    check(name, tmp_path)


@pytest.mark.parametrize("check", MODEL_CHECKS, ids=lambda check: check.__name__)
def test_a_model_of_ones_own_is_covered_by_the_same_checks(check, register, tmp_path):
    check(register("own-gru", OwnGru), tmp_path)


@pytest.fixture(scope="module")
def two_workers(tmp_path_factory) -> list[dict]:
    """Return each rank's results for all models, from two gloo processes (`conformance_workers.py`)."""
    return gloo_processes("tests.fame.conformance_workers", tmp_path_factory.mktemp("workers"))


EXPERIMENTS = {name: two_worker_experiment(name) for name in models.names()}
EXPERIMENTS |= {f"{name} sharded": sharded_experiment(name) for name in EXPERIMENTS if models.get(name).shards_items()}


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_two_workers_train_a_model_like_one(name, two_workers, tmp_path):
    alone = list(fit(EXPERIMENTS[name], data(), tmp_path, WORKERS))
    for results in two_workers:
        for report, expected in zip(results[name], alone, strict=True):
            assert report["loss"] == pytest.approx(expected.loss, rel=1e-4)
            assert report["validation"] == pytest.approx(expected.validation, abs=1e-4)


@pytest.mark.parametrize(
    ("model_class", "check"),
    [
        (SeesTheFuture, later_items_never_change_an_earlier_query),
        (CountsPadding, padding_never_matters),
    ],
)
def test_the_checks_find_a_model_that_breaks_the_promise(model_class, check, register, tmp_path):
    with pytest.raises(AssertionError):
        check(register("own-gru", model_class), tmp_path)


def test_the_evaluation_check_finds_an_encode_that_is_not_hidden(register, tmp_path):
    class Other(OwnGru):
        def encode(self, items_BT: Tensor, lengths_B: Tensor) -> Tensor:
            # In a batch each row is answered with the query of another.
            return super().encode(items_BT, lengths_B).roll(1, dims=0)

    torch.manual_seed(0)
    with pytest.raises(AssertionError):
        evaluation_is_naive_evaluation(register("own-gru", Other), tmp_path)


CATALOGUE = importlib.util.find_spec("fame.datasets") and importlib.util.find_spec("fame.datasets.catalog")


@pytest.mark.skipif(not CATALOGUE, reason="fame.datasets.catalog is not built yet")
@pytest.mark.parametrize("name", datasets.names() if CATALOGUE else [])
def test_dataset_entry(name):
    entry = datasets.get(name)
    assert entry.about
    assert entry.recipes, "needs at least one recipe; the first is the default"
    for recipe in entry.recipes.values():
        assert recipe.min_history >= 3, "leave-one-out needs three"
        assert recipe.core >= 1
