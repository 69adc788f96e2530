"""DuoRec: partners have the same target, and the loss is SASRec's with a contrast of the pair that is asked for."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fame.datasets.batches import Batcher, device_values
from fame.datasets.sequences import training_windows
from fame.models.base import EpochStart
from fame.models.baselines.duorec import DuoRec, DuoRecConfig, same_target
from fame.models.sasrec import SASRec
from fame.runtime.parallel import Workers
from tests.fame.helpers import CPU, cyclic_sequences, randomise
from tests.fame.models.baselines.naive_nce import naive_nce

ITEMS, LENGTH = 12, 8
SEQUENCES = cyclic_sequences(users=14, item_count=ITEMS, longest=12, seed=0)


@given(targets=st.lists(st.integers(1, 6), min_size=1, max_size=20), seed=st.integers(0, 99))
def test_a_partner_is_another_entry_with_the_same_target(targets, seed):
    partners = same_target(np.array(targets), np.random.default_rng(seed))
    for index, partner in enumerate(partners.tolist()):
        assert targets[partner] == targets[index]
        assert (partner == index) == (targets.count(targets[index]) == 1)


def test_each_other_entry_is_as_likely():
    random = np.random.default_rng(0)
    targets = np.array([7, 1, 7, 7, 2, 7])
    drawn = np.stack([same_target(targets, random) for _ in range(3000)])
    for index in (0, 2, 3, 5):
        found, counts = np.unique(drawn[:, index], return_counts=True)
        assert found.tolist() == sorted({0, 2, 3, 5} - {index})
        assert counts.min() > 900


def started(mode: str, **settings) -> tuple[DuoRec, Batcher]:
    config = DuoRecConfig(dim=8, inner=2, dropout=0.0, attention_dropout=0.0, **settings)
    model = randomise(DuoRec(config, ITEMS, LENGTH), seed=0)
    batcher = Batcher(device_values(SEQUENCES, CPU), training_windows(SEQUENCES, mode, LENGTH))
    start = EpochStart(
        index=0,
        sequences=SEQUENCES,
        batcher=batcher,
        generator=np.random.default_rng(3),
        workers=Workers(device=CPU),
    )
    model.start_epoch(start)
    return model, batcher


@pytest.mark.parametrize("mode", ["all", "prefix"])
def test_partners_of_windows_predict_the_same_item(mode):
    model, batcher = started(mode)
    ends = batcher.windows.starts + batcher.windows.lengths
    assert (SEQUENCES.values[ends[model.partners]] == SEQUENCES.values[ends]).all()
    assert (model.partners != np.arange(len(ends))).any()


@pytest.mark.parametrize("pairs", ["cross", "dropout", "target"])
@pytest.mark.parametrize("mode", ["all", "prefix"])
def test_the_loss_is_the_next_items_and_the_contrast_of_the_pair(mode, pairs):
    model, batcher = started(mode, pairs=pairs, contrast_weight=0.4)
    for batch in batcher.epoch(6, np.random.default_rng(0)):
        row = model.encode(batch.items_BT, batch.lengths_B)  # without dropout its dropout view, too
        partner = model.encode(*batcher.gather(model.partners[batch.windows]))
        two = row if pairs == "dropout" else partner
        expected = SASRec.forward(model, batch) + 0.4 * batch.mean_targets * naive_nce(row, two, model.config)
        torch.testing.assert_close(model(batch), expected)


@pytest.mark.parametrize(("pairs", "own", "other"), [("cross", 2, 1), ("dropout", 2, 0), ("target", 1, 1)])
def test_a_dropout_view_is_a_pass_of_its_own(pairs, own, other):
    model, batcher = started("prefix", pairs=pairs)
    (batch, *_) = batcher.epoch(6, np.random.default_rng(0))
    model.dropout.p = 0.5
    read, made, encode = [], [], model.encode

    def spy(items, lengths):
        read.append(items)
        made.append(encode(items, lengths))
        return made[-1]

    model.encode = spy
    model.train()(batch)
    of_row = [query for items, query in zip(read, made, strict=True) if torch.equal(items, batch.items_BT)]
    assert (len(of_row), len(made) - len(of_row)) == (own, other)
    assert all(not torch.equal(of_row[0], query) for query in of_row[1:])
