"""Grouped attention against loops over heads and experts."""

from __future__ import annotations

import math

import pytest
import torch

import fame.models.layers.attention
from fame.models.layers.attention import GroupedAttention, last_position
from tests.fame.helpers import randomise

B, T, K = 3, 6, 4
GROUPS = [(1, 1), (1, 3), (2, 1), (2, 3), (4, 2)]


def attention(heads: int, queries: int, relative: bool, dropout: float = 0.0, causal: bool = True) -> GroupedAttention:
    module = GroupedAttention(
        dim=heads * K, heads=heads, queries=queries, max_length=T, relative=relative, dropout=dropout, causal=causal
    )
    return randomise(module, seed=heads * 10 + queries, std=0.7)


def inputs(dim: int) -> torch.Tensor:
    return torch.randn(B, T, dim, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def looped(module: GroupedAttention, x: torch.Tensor, h: int, n: int) -> torch.Tensor:
    """softmax(Q_n^h K^hᵀ / √K + causal (+ bias)) V^h with whole matrices, [B, T, K]."""
    H, N = module.heads, module.queries

    def projected(layer, index):
        rows = slice(index * K, (index + 1) * K)
        return x @ layer.weight[rows].T + layer.bias[rows]

    scores = projected(module.query, h * N + n) @ projected(module.key_value, h).transpose(1, 2) / math.sqrt(K)
    for i in range(T):
        for j in range(T):
            if j > i:
                scores[:, i, j] = -math.inf
            elif module.bias is not None:
                scores[:, i, j] += module.bias[h * N + n, i - j]
    return scores.softmax(-1) @ projected(module.key_value, H + h)


@pytest.mark.parametrize("relative", [False, True])
@pytest.mark.parametrize(("heads", "queries"), GROUPS)
@torch.no_grad()
def test_each_expert_attends_with_its_own_query_and_its_heads_keys_and_values(heads, queries, relative):
    module, x = attention(heads, queries, relative), inputs(heads * K)
    out = module(x)
    assert out.shape == (B, T, heads, queries, K)
    for h in range(heads):
        for n in range(queries):
            torch.testing.assert_close(out[:, :, h, n], looped(module, x, h, n), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("relative", [False, True])
@pytest.mark.parametrize(("heads", "queries"), GROUPS)
@torch.no_grad()
def test_asking_for_the_last_position_gives_the_same_as_asking_for_all(heads, queries, relative):
    module, x = attention(heads, queries, relative), inputs(heads * K)
    lengths = torch.tensor([T, 1, 3])
    last = module(x, lengths)
    everything = module(x)
    assert last.shape == (B, 1, heads, queries, K)
    for b, length in enumerate(lengths):
        torch.testing.assert_close(last[b, 0], everything[b, length - 1], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("relative", [False, True])
@pytest.mark.parametrize(("heads", "queries"), GROUPS)
def test_the_fused_path_is_the_explicit_one(heads, queries, relative, last, monkeypatch):
    module, x = attention(heads, queries, relative), inputs(heads * K).requires_grad_()
    lengths = torch.tensor([T, 1, 3]) if last else None
    results = []
    for fused in (False, True):
        monkeypatch.setattr(fame.models.layers.attention, "fuses", lambda x, fused=fused: fused)
        out = module(x, lengths)
        inside = torch.linspace(0.1, 1, out.numel(), dtype=out.dtype).view(out.shape)
        weights = list(module.parameters())
        results.append([out, *torch.autograd.grad((out * inside).sum(), [x, *weights])])
    for explicit, other in zip(*results, strict=True):
        torch.testing.assert_close(explicit, other, rtol=1e-9, atol=1e-11)


# ---- In both directions.


def looped_row(module: GroupedAttention, x: torch.Tensor, i: int, length: int) -> torch.Tensor:
    """Return what position i of one row sees of the first `length`, [H, N, K]."""
    H, N = module.heads, module.queries
    key, value = module.key_value(x[:length]).view(length, 2, H, K).unbind(1)
    query = module.query(x[i]).view(H, N, K)
    out = torch.zeros(H, N, K, dtype=torch.float64)
    for h in range(H):
        for n in range(N):
            scores = torch.stack([query[h, n] @ key[j, h] / math.sqrt(K) for j in range(length)])
            if module.bias is not None:
                scores += torch.stack([module.bias[h * N + n, T - 1 + i - j] for j in range(length)])
            out[h, n] = scores.softmax(0) @ value[:, h]
    return out


@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize("relative", [False, True])
@pytest.mark.parametrize(("heads", "queries"), GROUPS)
@torch.no_grad()
def test_in_both_directions_each_position_sees_all_real_ones(heads, queries, relative, fused, monkeypatch):
    monkeypatch.setattr(fame.models.layers.attention, "fuses", lambda x: fused)
    module, x, lengths = attention(heads, queries, relative, causal=False), inputs(heads * K), [T, 1, 3]
    real = torch.arange(T) < torch.tensor(lengths)[:, None]
    everywhere, last = module(x, real_BS=real), module(x, torch.tensor(lengths))
    for b, length in enumerate(lengths):
        for i in range(length):
            expected = looped_row(module, x[b], i, length)
            torch.testing.assert_close(everywhere[b, i], expected, rtol=1e-10, atol=1e-12)
        torch.testing.assert_close(last[b, 0], expected, rtol=1e-10, atol=1e-12)
    assert everywhere.isfinite().all()


@torch.no_grad()
def test_attention_weights_are_dropped_in_training_only():
    module, x = attention(2, 2, True, dropout=0.5), inputs(8)
    torch.testing.assert_close(module(x), module(x), rtol=0, atol=0)
    module.train()
    assert not torch.equal(module(x), module(x))


def test_last_position_picks_each_rows_last_real_one():
    x = torch.arange(12.0).view(2, 3, 2)
    assert last_position(x, torch.tensor([3, 1])).tolist() == [[[4.0, 5.0]], [[6.0, 7.0]]]
