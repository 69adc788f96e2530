"""ICLRec: intents are clusters of all training windows, and rows of one intent are no negatives."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from fame.datasets.batches import Batcher, device_values
from fame.datasets.sequences import training_windows
from fame.errors import UserError
from fame.models.base import EpochStart
from fame.models.baselines.iclrec import ITERATIONS, ICLRec, ICLRecConfig
from fame.models.baselines.kmeans import kmeans
from fame.models.sasrec import SASRec
from fame.runtime.parallel import Workers
from tests.fame.helpers import CPU, cyclic_sequences, randomise
from tests.fame.models.baselines.naive_nce import naive_nce

ITEMS, LENGTH, INTENTS = 12, 8, 4
SEQUENCES = cyclic_sequences(users=14, item_count=ITEMS, longest=12, seed=0)


def start(mode: str, seed: int = 3) -> EpochStart:
    return EpochStart(
        index=0,
        sequences=SEQUENCES,
        batcher=Batcher(device_values(SEQUENCES, CPU), training_windows(SEQUENCES, mode, LENGTH)),
        generator=np.random.default_rng(seed),
        workers=Workers(device=CPU),
    )


def model_with(**settings) -> ICLRec:
    config = ICLRecConfig(dim=8, inner=2, dropout=0.0, attention_dropout=0.0, intents=INTENTS, **settings)
    return randomise(ICLRec(config, ITEMS, LENGTH), seed=0)


def means_of_windows(model: ICLRec, epoch: EpochStart) -> torch.Tensor:
    """Each window alone: the mean of its hidden states."""
    windows, rows = epoch.batcher.windows, []
    for begin, length in zip(windows.starts, windows.lengths, strict=True):
        items = torch.from_numpy(SEQUENCES.values[begin : begin + length]).long()[None]
        rows.append(model.hidden(items, torch.tensor([length]))[0].mean(0))
    return torch.stack(rows)


@pytest.mark.parametrize("mode", ["all", "prefix"])
def test_intents_are_the_clusters_of_all_training_windows(mode):
    model = model_with()
    with torch.no_grad():
        model.start_epoch(start(mode))
        points = means_of_windows(model, start(mode))
    centres, owner = kmeans(points, INTENTS, ITERATIONS, start(mode).torch_generator())
    assert torch.equal(model.intent_M, owner)
    torch.testing.assert_close(model.intents_KD, centres / centres.norm(dim=1, keepdim=True))


def test_intents_follow_the_weights():
    model = model_with()
    with torch.no_grad():
        model.start_epoch(start("all"))
        before = model.intents_KD
        model.items.weight.mul_(-2)
        model.start_epoch(start("all"))
    assert not torch.allclose(before, model.intents_KD)


@pytest.mark.parametrize("mode", ["all", "prefix"])
def test_the_loss_is_that_of_next_items_views_and_intents(mode):
    model, epoch = model_with(contrast_weight=0.3, intent_weight=0.2), start(mode)
    with torch.no_grad():
        model.start_epoch(epoch)
    for batch in epoch.batcher.epoch(6, np.random.default_rng(0)):
        model.generator.manual_seed(1)
        loss = model(batch)
        model.generator.manual_seed(1)
        views = [mean_of(model, *model.view(batch)) for _ in range(2)]
        intent = model.intent_M[batch.windows].tolist()
        alike = [[one == other for other in intent] for one in intent]
        of_intents = sum(naive_nce(view, model.intents_KD[intent], model.config, alike) for view in views) / 2
        contrast = 0.3 * naive_nce(*views, model.config) + 0.2 * of_intents
        torch.testing.assert_close(loss, SASRec.forward(model, batch) + batch.mean_targets * contrast)


def mean_of(model: ICLRec, items: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    rows = zip(model.hidden(items, lengths), lengths, strict=True)
    return torch.stack([hidden[:length].mean(0) for hidden, length in rows])


@pytest.mark.parametrize(("key", "value"), [("intents", 0), ("intent_weight", -1.0)])
def test_a_setting_that_cannot_be_is_named(key, value):
    with pytest.raises(UserError, match=f"model.{key} = {value}: must"):
        ICLRecConfig(**{key: value})
