"""BSARec against Fourier transforms of padded windows, position after position."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from fame.config.tree import experiment_from_dict
from fame.errors import UserError
from fame.models.baselines.bsarec import BSARec, BSARecConfig, FrequencyFilter
from fame.models.sasrec import SASRec, SASRecConfig
from tests.fame.helpers import random_rows, randomise
from tests.fame.paper import embeddings, self_attention
from tests.fame.paper_weights import feed_forward, layer_norm, paper_weights, plain_block

ITEMS, LENGTH = 12, 7


def low_pass(window_SD: Tensor, cutoff: int) -> Tensor:
    """The `cutoff` lowest frequencies of a whole window."""
    spectrum = torch.fft.rfft(window_SD, dim=0, norm="ortho")
    spectrum[cutoff // 2 + 1 :] = 0
    return torch.fft.irfft(spectrum, n=len(window_SD), dim=0, norm="ortho")


def window(rows: list[Tensor], length: int) -> Tensor:
    """`rows` at the end of a window of zeros."""
    return F.pad(torch.stack(rows), (0, 0, length - len(rows), 0))


def filtered(model: BSARec, block: BSARec.Block, x: list[Tensor], t: int) -> Tensor:
    """LFC + β ⊙ HFC of one position: a transform of the window up to it (`causal`), or of all of it (`whole`)."""
    read = x[: t + 1] if model.config.filter == "causal" else x
    low = low_pass(window(read, model.max_length), model.config.cutoff)[t - len(read)]
    return low + block.filter.gamma**2 * (x[t] - low)


def naive_block(model: BSARec, block: BSARec.Block, x: list[Tensor]) -> list[Tensor]:
    """SASRec's attention in the paper's loops, and the filter beside it."""
    weights, options, alpha = plain_block(block), paper_weights(model).options, model.config.alpha
    out = []
    for t in range(len(x)):
        attended = layer_norm(block.attention_norm, x[t] + self_attention(weights, x, t, options))
        row = alpha * layer_norm(block.filter_norm, x[t] + filtered(model, block, x, t)) + (1 - alpha) * attended
        out.append(layer_norm(block.feed_forward_norm, row + feed_forward(block.feed_forward, row)))
    return out


def naive_queries(model: BSARec, items: list[int]) -> list[Tensor]:
    x = embeddings(paper_weights(model), [item - 1 for item in items])
    for block in model.blocks:
        x = naive_block(model, block, x)
    return x


def build(**settings) -> BSARec:
    config = BSARecConfig(dim=6, heads=2, inner=2, alpha=0.6, cutoff=3, **settings)
    return randomise(BSARec(config, ITEMS, LENGTH), seed=1)


@torch.no_grad()
@pytest.mark.parametrize("positions", ["relative", "absolute"])
def test_causal_is_one_transform_for_each_position(positions):
    model = build(positions=positions)
    items, lengths = random_rows(3, LENGTH, ITEMS, seed=0)
    hidden, last = model.hidden(items, lengths), model.encode(items, lengths)
    for b, length in enumerate(lengths.tolist()):
        expected = torch.stack(naive_queries(model, items[b, :length].tolist()))
        torch.testing.assert_close(hidden[b, :length], expected, rtol=0, atol=1e-6)
        torch.testing.assert_close(last[b], expected[-1], rtol=0, atol=1e-6)


@torch.no_grad()
@pytest.mark.parametrize("blocks", [1, 2, 3])
def test_whole_is_one_transform_of_the_window(blocks):
    model = build(filter="whole", positions="absolute_right", blocks=blocks)
    items, lengths = random_rows(4, LENGTH, ITEMS, seed=2)
    last = model.encode(items, lengths)
    for b, length in enumerate(lengths.tolist()):
        expected = naive_queries(model, items[b, :length].tolist())[-1]
        torch.testing.assert_close(last[b], expected, rtol=0, atol=1e-6)


@torch.no_grad()
def test_one_block_answers_the_same_causal_and_whole():
    rows = random_rows(4, LENGTH, ITEMS, seed=3)
    queries = [build(filter=name, blocks=1).encode(*rows) for name in ("causal", "whole")]
    torch.testing.assert_close(*queries, rtol=0, atol=1e-12)
    queries = [build(filter=name, blocks=2).encode(*rows) for name in ("causal", "whole")]
    assert (queries[0] - queries[1]).abs().max() > 1e-3


@torch.no_grad()
def test_without_the_filter_it_is_sasrec():
    settings = {"dim": 8, "heads": 2, "blocks": 2, "inner": 2}
    ours = randomise(BSARec(BSARecConfig(**settings, alpha=0.0), ITEMS, LENGTH), seed=4)
    theirs = randomise(SASRec(SASRecConfig(**settings), ITEMS, LENGTH), seed=5)
    theirs.load_state_dict({key: value for key, value in ours.state_dict().items() if ".filter" not in key})
    rows = random_rows(4, LENGTH, ITEMS, seed=6)
    torch.testing.assert_close(ours.hidden(*rows), theirs.hidden(*rows), rtol=0, atol=1e-14)


@torch.no_grad()
@pytest.mark.parametrize("length", [1, 2, 5, 6])
def test_a_cutoff_above_all_frequencies_leaves_the_history_as_it_is(length):
    frequencies = FrequencyFilter(dim=3, cutoff=9, max_length=length, causal=True)
    x = torch.randn(2, length, 3)
    torch.testing.assert_close(frequencies(x), x)


def test_the_papers_filter_trains_on_prefixes_alone():
    with pytest.raises(UserError, match=r"model.filter = 'whole'.*train.mode = prefix"):
        experiment_from_dict({"model": {"name": "bsarec", "filter": "whole"}})
    experiment_from_dict({"model": {"name": "bsarec", "filter": "whole"}, "train": {"mode": "prefix"}})


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"alpha": 1.1}, r"model.alpha = 1.1: must be between 0 and 1"),
        ({"cutoff": 4}, r"model.cutoff = 4: must be odd"),
    ],
)
def test_settings_that_cannot_be(settings, message):
    with pytest.raises(UserError, match=message):
        BSARecConfig(**settings)
