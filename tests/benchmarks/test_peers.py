"""The data and the peers that speed is measured with do what they are taken for."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from benchmarks import beauty
from benchmarks.fixtures import sample_batches, stage_run
from benchmarks.peers.naive_fame import NaiveFame
from benchmarks.training import naive_steps
from fame.datasets.sequences import training_windows


def test_random_data_has_beautys_size_and_as_many_pairs():
    sequences = beauty.load(None).sequences
    assert (len(sequences), sequences.item_count, len(sequences.values)) == (22_363, 12_101, 198_502)
    assert sequences.lengths.min() == 5
    assert set(np.unique(sequences.values)[[0, -1]]) == {1, 12_101}
    assert training_windows(sequences, "all", 50).lengths.sum() == beauty.PAIRS == 131_413


@pytest.mark.parametrize("heads", [1, 2])
def test_naive_fame_starts_at_chance_and_trains_its_weights(heads):
    torch.manual_seed(0)
    model = NaiveFame(items=40, length=6, dim=8, heads=heads, experts=2, dropout=0.0)
    torch.nn.init.normal_(model.items.weight, std=0.02)
    items = torch.tensor([[1, 2, 3, 0, 0, 0], [4, 5, 6, 7, 8, 9]])
    loss = model(items, torch.tensor([[2, 3, 4, 0, 0, 0], [5, 6, 7, 8, 9, 1]]))
    assert loss.item() / 9 == pytest.approx(math.log(40), rel=0.05)
    loss.backward()
    idle = {name.split(".")[-2] for name, weight in model.named_parameters() if not weight.grad.any()}
    # One expert or facet has the whole share whatever its router says; a bias of keys moves no softmax.
    assert idle <= {"router", "key"} | ({"gate"} if heads == 1 else set())


def test_naive_fame_reads_no_later_item_and_no_target_of_zero():
    model = NaiveFame(items=40, length=6, dim=8, dropout=0.0).eval()
    targets = torch.tensor([[2, 3, 0, 0, 0, 0]])
    losses = [model(torch.tensor([row]), targets).item() for row in ([1, 2, 3, 4, 5, 6], [1, 2, 30, 0, 7, 9])]
    assert losses[0] == pytest.approx(losses[1], rel=1e-6)


def test_the_naive_peer_trains_on_the_targets_of_the_batches(monkeypatch):
    run = stage_run(beauty.random_sequences(40, 30, 300), data={"max_length": 8}, train={"batch_size": 8})
    batches, met = sample_batches(run, 50), []
    real = NaiveFame.forward
    monkeypatch.setattr(
        NaiveFame, "forward", lambda self, items, targets: (met.append(targets), real(self, items, targets))[1]
    )
    naive_steps(run.evaluator.sequences, batches, length=8)()
    assert [int((targets > 0).sum()) for targets in met] == [batch.target_count for batch in batches]
    assert [sorted(t[t > 0].tolist()) for t in met] == [sorted(batch.targets_R.tolist()) for batch in batches]
