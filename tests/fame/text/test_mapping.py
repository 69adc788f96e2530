"""The map from texts to item vectors."""

from __future__ import annotations

import torch

from fame.text.mapping import TextMap, ridge

DRAW = torch.Generator().manual_seed(0)


def test_a_ridge_finds_the_map():
    x_ND, w_DK = torch.randn(200, 4, generator=DRAW), torch.arange(8.0).view(4, 2)
    assert torch.allclose(ridge(x_ND, x_ND @ w_DK), w_DK, atol=0.2)


def test_rows_that_text_decides_are_found_for_other_texts():
    e_NE, w_ED = torch.randn(300, 6, generator=DRAW), torch.randn(6, 3, generator=DRAW)
    x_ND = 2 + e_NE @ w_ED
    found = TextMap.fit(e_NE[:200], x_ND[:200])
    assert torch.allclose(found.rows(e_NE[200:]), x_ND[200:], atol=0.1)
    assert torch.equal(TextMap.read(found.tensors).rows(e_NE), found.rows(e_NE))
    assert TextMap.read({}) is None


def test_new_rows_have_the_variance_of_trained_ones_where_text_says_little():
    e_NE = torch.randn(4000, 6, generator=DRAW)
    x_ND = e_NE[:, :3] + 3 * torch.randn(4000, 3, generator=DRAW)
    rows_ND = TextMap.fit(e_NE[:2000], x_ND[:2000]).rows(e_NE[2000:])
    assert torch.allclose(rows_ND.var(0).sum(), x_ND.var(0).sum(), rtol=0.1)
    assert torch.allclose(rows_ND.mean(0), x_ND.mean(0), atol=0.3)
