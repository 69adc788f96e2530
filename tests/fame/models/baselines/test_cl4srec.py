"""CL4SRec: its loss is SASRec's and a contrast of two views, which are those of the operators."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from fame.datasets.batches import Batch, Batcher, device_values
from fame.datasets.sequences import training_windows
from fame.errors import UserError
from fame.models.baselines.cl4srec import OPERATORS, CL4SRec, CL4SRecConfig
from fame.models.sasrec import SASRec
from tests.fame.helpers import CPU, cyclic_sequences, randomise
from tests.fame.models.baselines.naive_nce import naive_nce

ITEMS, LENGTH = 12, 8
SMALL = {"dim": 8, "inner": 2, "dropout": 0.0, "attention_dropout": 0.0}
SEQUENCES = cyclic_sequences(users=14, item_count=ITEMS, longest=12, seed=0)


def batches(mode: str, size: int = 6) -> list[Batch]:
    batcher = Batcher(device_values(SEQUENCES, CPU), training_windows(SEQUENCES, mode, LENGTH))
    return list(batcher.epoch(size, np.random.default_rng(0)))


def model_with(**settings) -> CL4SRec:
    torch.manual_seed(0)
    return randomise(CL4SRec(CL4SRecConfig(**SMALL, **settings), ITEMS, LENGTH), seed=0)


@pytest.mark.parametrize("mode", ["all", "prefix"])
def test_the_loss_is_the_next_items_and_the_contrast_of_two_views(mode):
    model = model_with(contrast_weight=0.3, temperature=2.0)
    for batch in batches(mode):
        model.generator.manual_seed(1)
        loss = model(batch)
        model.generator.manual_seed(1)
        views = [model.encode(*model.view(batch)) for _ in range(2)]
        expected = SASRec.forward(model, batch) + 0.3 * batch.mean_targets * naive_nce(*views, model.config)
        torch.testing.assert_close(loss, expected)


def test_without_its_weight_it_is_sasrec():
    model, (batch, *_) = model_with(contrast_weight=0.0), batches("all")
    torch.testing.assert_close(model(batch), SASRec.forward(model, batch))


@pytest.mark.parametrize("operator", OPERATORS)
def test_a_view_is_what_its_operator_makes(operator):
    model = model_with(views=(operator,))
    for batch in batches("all"):
        items, lengths = model.view(batch)
        for row, length, old, old_length in zip(items, lengths, batch.items_BT, batch.lengths_B, strict=True):
            view, whole = row[:length].tolist(), old[:old_length].tolist()
            assert not row[length:].any()
            if operator == "crop":
                assert len(view) == max(1, int(0.6 * len(whole)))
                assert any(whole[t : t + len(view)] == view for t in range(len(whole)))
            elif operator == "mask":
                assert view.count(model.mask_number) == int(0.3 * len(whole))
                assert all(new in (item, model.mask_number) for new, item in zip(view, whole, strict=True))
            else:
                assert sorted(view) == sorted(whole)


def test_views_are_drawn_from_all_operators_and_anew_each_time():
    model, batch = model_with(crop=0.5, mask=0.5), batches("all", size=100)[0]
    first, second = model.view(batch), model.view(batch)
    assert not torch.equal(first[0], second[0])
    cropped = first[1] < batch.lengths_B
    masked = (first[0] == model.mask_number).any(1)
    assert cropped.any() and masked.any() and not (cropped & masked).any()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"views": ()}, r"model.views = \(\): must name operators, once"),
        ({"views": ("crop", "crop")}, "model.views = .*: must name operators, once"),
        ({"crop": 0.0}, r"model.crop = 0.0: must be in \(0, 1\]"),
        ({"mask": 1.1}, r"model.mask = 1.1: must be in \(0, 1\]"),
    ],
)
def test_settings_that_cannot_be_are_named(settings, message):
    with pytest.raises(UserError, match=message):
        CL4SRecConfig(**settings)
