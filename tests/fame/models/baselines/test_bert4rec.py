"""BERT4Rec against torch's own encoder layers, and its cloze task against what the paper says."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from fame.config import TrainConfig
from fame.datasets.batches import Batch, Batcher, device_values
from fame.datasets.sequences import training_windows
from fame.errors import UserError
from fame.losses.objective import Softmax
from fame.models.baselines.bert4rec import Bert4Rec, Bert4RecConfig
from tests.fame.helpers import CPU, random_rows, randomise

SIZE = {"dim": 6, "heads": 2, "blocks": 2, "inner": 2}
NO_DROPOUT = {"dropout": 0.0, "attention_dropout": 0.0}
ITEMS, LENGTH = 9, 5
MASK = ITEMS + 1


def built(seed: int = 1, **settings) -> Bert4Rec:
    return randomise(Bert4Rec(Bert4RecConfig(**{**SIZE, **settings}), ITEMS, LENGTH), seed)


def torchs_own(block: nn.Module) -> nn.TransformerEncoderLayer:
    """torch's encoder layer with the weights of one of ours."""
    layer = nn.TransformerEncoderLayer(6, 2, 12, 0.0, "gelu", 1e-12, batch_first=True, dtype=torch.float64)
    theirs, query, key_value = layer.self_attn, block.attention.query, block.attention.key_value
    weights = {
        theirs.in_proj_weight: torch.cat([query.weight, key_value.weight]),
        theirs.in_proj_bias: torch.cat([query.bias, key_value.bias]),
    }
    pairs = [(theirs.out_proj, block.output), (layer.linear1, block.feed_forward[0])]
    pairs += [(layer.linear2, block.feed_forward[2]), (layer.norm1, block.attention_norm)]
    pairs += [(layer.norm2, block.feed_forward_norm)]
    weights |= {getattr(a, part): getattr(b, part) for a, b in pairs for part in ("weight", "bias")}
    for parameter, value in weights.items():
        parameter.copy_(value)
    return layer.train()  # there is no dropout; evaluation mode would take a path that warns


@torch.no_grad()
def test_queries_are_those_of_torchs_encoder_at_a_mask_after_the_history():
    model = built(positions="absolute")
    items, lengths = random_rows(4, LENGTH, ITEMS, seed=1)
    expected = []
    for row, length in zip(items, lengths, strict=True):
        x = torch.cat([model.items.weight[row[:length]], model.mask_D[None]]) + model.positions.weight[: length + 1]
        x = model.embedding_norm(x)[None]
        for block in model.blocks:
            x = torchs_own(block)(x)
        x = F.gelu(model.head[0](x[0, -1]))
        expected.append(F.layer_norm(x, (6,), model.head[2].weight, model.head[2].bias, 1e-12))
    torch.testing.assert_close(model.encode(items, lengths), torch.stack(expected), rtol=1e-9, atol=1e-9)


@torch.no_grad()
def test_a_position_is_read_as_if_its_sequence_ended_there():
    model = built()
    items, lengths = random_rows(3, LENGTH, ITEMS, seed=2)
    hidden = model.hidden(items, lengths)
    for b, length in enumerate(lengths.tolist()):
        for t in range(1, length + 1):
            alone = model.encode(items[b : b + 1, :t], torch.tensor([t]))
            torch.testing.assert_close(hidden[b, t - 1], alone[0], rtol=1e-9, atol=1e-9)


# ---- The cloze task.


ONCE = {**SIZE, "copies": 1}


def batches(sequences, mode: str = "all") -> list[Batch]:
    batcher = Batcher(device_values(sequences, CPU), training_windows(sequences, mode, LENGTH))
    return list(batcher.epoch(8, np.random.default_rng(0)))


def masks_of(model: Bert4Rec, batch: Batch) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Items, lengths and masks of the rows of one step."""
    items, lengths = model._rows(batch)
    return items, lengths, model._masks(batch, items, lengths)


@pytest.mark.parametrize("mode", ["all", "prefix"])
def test_a_row_is_a_window_with_the_target_that_follows_it(mode, tiny):
    model, windows = Bert4Rec(Bert4RecConfig(**ONCE), tiny.item_count, LENGTH), training_windows(tiny, mode, LENGTH)
    for batch in batches(tiny, mode):
        items, lengths = model._rows(batch)
        for row, length, window in zip(items, lengths.tolist(), batch.windows.tolist(), strict=True):
            start = windows.starts[window]
            assert length == windows.lengths[window] + 1
            assert row[:length].tolist() == tiny.values[start : start + length].tolist()
            assert not row[length:].any()


@pytest.mark.parametrize("rate", [0.1, 0.6])
def test_every_row_has_a_mask_and_all_of_them_as_many_as_the_rate_says(rate, tiny):
    config = Bert4RecConfig(**ONCE, mask_rate=rate, last_rate=0.0)
    model = Bert4Rec(config, tiny.item_count, LENGTH)
    model.generator = torch.Generator().manual_seed(0)
    masked, expected, rows = 0, 0.0, 0
    for _ in range(40):
        for batch in batches(tiny):
            items, lengths, masks = masks_of(model, batch)
            assert masks.any(1).all() and not masks[items == 0].any()
            masked += int(masks.sum())
            expected += float((lengths * rate + (1 - rate) ** lengths).sum())  # and one where there would be none
            rows += len(items)
    assert masked == pytest.approx(expected, rel=0.05)


def test_the_share_of_rows_that_mask_their_last_item_alone(tiny):
    for rate in (0.0, 0.3, 1.0):
        model = Bert4Rec(Bert4RecConfig(**ONCE, mask_rate=0.9, last_rate=rate), tiny.item_count, 200)
        model.generator = torch.Generator().manual_seed(0)
        found = []
        for batch in batches(tiny) * 60:
            _, lengths, masks = masks_of(model, batch)
            alone = (masks.sum(1) == 1) & masks[torch.arange(len(masks)), lengths - 1]
            found += alone[lengths > 4].tolist()  # of a short row the last item may be all that was drawn
        assert np.mean(found) == pytest.approx(rate, abs=0.06)


def test_every_copy_of_a_row_has_masks_of_its_own(tiny):
    model = Bert4Rec(Bert4RecConfig(**SIZE, mask_rate=0.5, copies=6), tiny.item_count, LENGTH)
    once = Bert4Rec(Bert4RecConfig(**ONCE), tiny.item_count, LENGTH)
    for batch in batches(tiny):
        items, lengths, masks = masks_of(model, batch)
        rows, row_lengths = once._rows(batch)
        assert torch.equal(items.view(len(rows), 6, -1), rows[:, None].expand(-1, 6, -1))
        assert torch.equal(lengths.view(len(rows), 6), row_lengths[:, None].expand(-1, 6))
        assert all(len(copies.unique(dim=0)) > 1 for copies in masks.view(len(rows), 6, -1))


@pytest.mark.parametrize("mode", ["all", "prefix"])
def test_the_loss_is_the_mean_over_masks_times_the_batchs_targets(mode, tiny):
    model = Bert4Rec(Bert4RecConfig(**SIZE, **NO_DROPOUT, init_std=0.5), tiny.item_count, LENGTH)
    batch = batches(tiny, mode)[0]
    model.generator = torch.Generator().manual_seed(3)
    items, lengths, masks = masks_of(model, batch)
    total = torch.zeros(())
    for row, length, mask in zip(items, lengths, masks, strict=True):
        seen = torch.where(mask, tiny.item_count + 1, row)[None, :length]
        x = model._embed(seen, length[None])
        for block in model.blocks:
            x = block(x, real_BS=torch.ones(1, int(length), dtype=torch.bool))
        scores = model.head(x)[0] @ model.items.weight[1:].T
        total = total + F.cross_entropy(scores[mask[:length]], row[mask] - 1, reduction="sum")
    expected = total / masks.sum() * batch.target_count
    model.generator = torch.Generator().manual_seed(3)
    loss = model(batch, Softmax("float32"))
    torch.testing.assert_close(loss, expected, rtol=1e-5, atol=1e-5)
    weights = list(model.parameters())
    got, want = torch.autograd.grad(loss, weights), torch.autograd.grad(expected, weights)
    for a, b in zip(got, want, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-4)


def test_a_mask_hides_its_item(tiny):
    """The queries at masks do not depend on the items there."""
    model = Bert4Rec(Bert4RecConfig(**SIZE, **NO_DROPOUT, last_rate=1.0), tiny.item_count, LENGTH)
    batch, queries = batches(tiny)[0], []

    def objective(model, queries_RD, targets_R):
        queries.append(queries_RD)
        return queries_RD.sum()

    others = batch.targets_R.clone()
    others[batch.last_R] = others[batch.last_R] % tiny.item_count + 1
    for targets in (batch.targets_R, others):
        model(dataclasses.replace(batch, targets_R=targets), objective)
    assert torch.equal(*queries)


@torch.no_grad()
def test_a_mask_is_no_item():
    model = built()
    assert len(model.item_table()) == ITEMS == model.scorer().item_count
    before = model.encode(torch.tensor([[1, 2]]), torch.tensor([2]))
    model.mask_D += 1
    assert not torch.equal(model.encode(torch.tensor([[1, 2]]), torch.tensor([2])), before)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"mask_rate": 0.0}, "model.mask_rate = 0.0: must be in (0, 1)"),
        ({"mask_rate": 1.0}, "model.mask_rate = 1.0: must be in (0, 1)"),
        ({"copies": 0}, "model.copies = 0: must be at least 1"),
        ({"last_rate": 1.5}, "model.last_rate = 1.5: must be between 0 and 1"),
    ],
)
def test_each_rule_of_the_settings_has_its_message(settings, message):
    with pytest.raises(UserError) as caught:
        Bert4RecConfig(**settings)
    assert message in str(caught.value)


def test_positions_from_the_right_go_with_either_way_of_training():
    for mode in ("all", "prefix"):
        Bert4RecConfig(positions="absolute_right").check_training(TrainConfig(mode=mode))
