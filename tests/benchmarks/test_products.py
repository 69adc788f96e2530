"""Recording and replaying matrix products."""

from __future__ import annotations

from math import prod

import torch
from torch import nn

from benchmarks.gpu import product_bytes, product_flops
from benchmarks.products import recorded, replay


def test_products_of_a_linear_layer_forward_and_backward():
    layer, x = nn.Linear(3, 5), torch.randn(7, 3, requires_grad=True)
    calls = recorded(lambda: layer(x).sum().backward())
    assert [call[0].overloadpacket.__name__ for call in calls] == ["addmm", "mm", "mm"]
    assert [product_flops(call) for call in calls] == [2 * prod((7, 3, 5))] * 3
    assert product_bytes(calls[0]) == 4 * (7 * 3 + 3 * 5)


def test_batched_products_count_every_one_of_the_batch():
    (call,) = recorded(lambda: torch.bmm(torch.randn(4, 2, 3), torch.randn(4, 3, 6).bfloat16().float()))
    assert product_flops(call) == 4 * 2 * 2 * 3 * 6


def test_a_replay_computes_the_same_products_and_nothing_else():
    out = torch.empty(2, 4, dtype=torch.bfloat16)

    def work():
        a = torch.randn(2, 3).bfloat16()
        torch.mm(a, torch.randn(4, 3).bfloat16().T, out=out)
        return (torch.randn(6, 2) @ torch.randn(2, 6)).relu()

    calls = recorded(work)
    assert len(calls) == 2
    assert recorded(replay(calls)) == calls
