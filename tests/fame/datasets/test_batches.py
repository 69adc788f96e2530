"""Batches: every window once, right targets, right padding, whatever the number of workers."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fame.datasets.batches import Batch, Batcher, device_values
from fame.datasets.sequences import Sequences, training_windows
from fame.registry import models
from tests.fame.helpers import CPU, experiment, jagged, sequences_of

MODES = ("all", "prefix")


def epoch(sequences, mode, max_length, batch_size, share=(0, 1), seed=0, targets=1) -> list[Batch]:
    batcher = Batcher(device_values(sequences, CPU), training_windows(sequences, mode, max_length, targets), share)
    return list(batcher.epoch(batch_size, np.random.default_rng(seed)))


def samples(batch: Batch) -> list[tuple[tuple[int, ...], int]]:
    """(items read, target) of each predicted position, read off the padded rows by hand."""
    rows = [row[:n].tolist() for row, n in zip(batch.items_BT, batch.lengths_B, strict=True)]
    if batch.last_only:
        return [(tuple(row), int(y)) for row, y in zip(rows, batch.targets_R, strict=True)]
    width = batch.items_BT.shape[1]
    places = [divmod(int(position), width) for position in batch.positions_R]
    return [(tuple(rows[b][: t + 1]), int(y)) for (b, t), y in zip(places, batch.targets_R, strict=True)]


@pytest.mark.parametrize("mode", MODES)
@given(sequences=jagged(), max_length=st.integers(1, 8), batch_size=st.integers(1, 7))
def test_an_epoch_meets_every_training_pair_once(mode, sequences, max_length, batch_size):
    windows = training_windows(sequences, mode, max_length)
    expected: Counter = Counter()
    for start, length in zip(windows.starts, windows.lengths, strict=True):
        for n in [length] if mode == "prefix" else range(1, length + 1):
            history = sequences.values[start : start + n].tolist()
            expected[tuple(history), int(sequences.values[start + n])] += 1
    batches = epoch(sequences, mode, max_length, batch_size)
    assert Counter(sample for batch in batches for sample in samples(batch)) == expected
    assert len(batches) == -(-len(windows) // batch_size)
    assert all(batch.target_count == len(batch.targets_R) for batch in batches)
    assert all(batch.mean_targets == sum(expected.values()) / len(batches) for batch in batches)


@given(sequences=jagged(), targets=st.integers(2, 5), batch_size=st.integers(1, 7))
def test_several_targets_of_a_row_are_those_of_its_last_positions(sequences, targets, batch_size):
    whole = Counter(sample for batch in epoch(sequences, "prefix", 50, batch_size) for sample in samples(batch))
    batches = epoch(sequences, "prefix", 50, batch_size, targets=targets)
    assert Counter(sample for batch in batches for sample in samples(batch)) == whole
    for batch in (batch for batch in batches if not batch.last_only):
        rows = torch.arange(len(batch.items_BT)) * batch.items_BT.shape[1]
        assert torch.equal(batch.positions_R[batch.last_R], rows + batch.lengths_B - 1)


@given(sequences=jagged(), max_length=st.integers(1, 8), batch_size=st.integers(1, 7))
def test_rows_are_padded_on_the_right_with_zeros_no_further_than_the_longest(sequences, max_length, batch_size):
    for batch in epoch(sequences, "all", max_length, batch_size):
        assert batch.items_BT.shape[1] == batch.lengths_B.max()
        for row, length in zip(batch.items_BT, batch.lengths_B, strict=True):
            assert (row[:length] > 0).all()
            assert not row[length:].any()


@pytest.mark.parametrize("mode", MODES)
@given(sequences=jagged(), batch_size=st.integers(1, 7), size=st.integers(2, 4))
def test_the_workers_shares_partition_every_batch(mode, sequences, batch_size, size):
    whole = epoch(sequences, mode, 5, batch_size)
    shares = [epoch(sequences, mode, 5, batch_size, (rank, size)) for rank in range(size)]
    for batch, *parts in zip(whole, *shares, strict=True):
        assert {part.target_count for part in parts} == {len(batch.targets_R)}
        assert Counter(s for part in parts for s in samples(part)) == Counter(samples(batch))


def test_the_order_is_random_and_follows_the_generator(tiny):
    rows = [[b.items_BT.tolist() for b in epoch(tiny, "all", 6, 8, seed=seed)] for seed in (0, 0, 1)]
    assert rows[0] == rows[1]
    assert rows[0] != rows[2]


def test_windows_of_one_length_change_their_company_between_epochs():
    sequences = sequences_of([[i, i, i, i, i] for i in range(1, 41)])
    together = [{frozenset(b.items_BT[:, 0].tolist()) for b in epoch(sequences, "all", 6, 8, seed=s)} for s in (0, 1)]
    assert together[0] != together[1]


@given(sequences=jagged(shortest=4), batch_size=st.integers(1, 7))
def test_the_reported_padding_is_the_share_of_zeros_in_the_batches(sequences, batch_size):
    batches = epoch(sequences, "all", 5, batch_size)
    zeros = sum(int((batch.items_BT == 0).sum()) for batch in batches)
    cells = sum(batch.items_BT.numel() for batch in batches)
    padding = Batcher(device_values(sequences, CPU), training_windows(sequences, "all", 5)).padding(batch_size)
    assert padding == pytest.approx(zeros / cells)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("positions", ["relative", "absolute"])
def test_a_worker_without_rows_has_loss_zero_and_a_zero_gradient_for_every_weight(mode, positions):
    sequences = sequences_of([[1, 2, 3, 4]])
    (batch,) = epoch(sequences, mode, 5, 4, share=(1, 2))
    settings = experiment(model={"positions": positions}).model
    model = models.get("fame")(settings, sequences.item_count, 5)
    loss = model(batch)
    loss.backward()
    assert loss == 0
    # DistributedDataParallel waits for the gradient of each weight.
    assert all(p.grad is not None and not torch.any(p.grad) for p in model.parameters())


def test_a_mapped_file_is_read_in_place(tmp_path):
    np.save(tmp_path / "values.npy", np.arange(1, 5, dtype=np.int32))
    mapped = np.asarray(np.load(tmp_path / "values.npy", mmap_mode="r"))
    sequences = Sequences(values=mapped, offsets=np.array([0, 4]), item_count=4)
    assert device_values(sequences, CPU).data_ptr() == mapped.ctypes.data
