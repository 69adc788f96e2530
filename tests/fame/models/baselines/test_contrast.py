"""InfoNCE against loops over rows."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fame.errors import UserError
from fame.models.baselines.cl4srec import CL4SRecConfig
from fame.models.baselines.contrast import info_nce
from tests.fame.models.baselines.naive_nce import naive_nce

CONFIG = CL4SRecConfig(temperature=0.7)


@pytest.mark.parametrize("similarity", ["dot", "cosine"])
@given(rows=st.integers(1, 6), seed=st.integers(0, 99), clusters=st.integers(0, 4))
def test_it_is_the_sum_over_anchors_and_negatives(similarity, rows, seed, clusters):
    config = dataclasses.replace(CONFIG, similarity=similarity)
    generator = torch.Generator().manual_seed(seed)
    one, two = torch.randn(2, rows, 3, generator=generator, dtype=torch.float64)
    if clusters:
        cluster = torch.randint(clusters, (rows,), generator=generator)
        alike = cluster[:, None] == cluster
        found, expected = info_nce(one, two, config, alike), naive_nce(one, two, config, alike.tolist())
    else:
        found, expected = info_nce(one, two, config), naive_nce(one, two, config)
    assert found.item() == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_rows_that_are_all_alike_have_nothing_to_tell_apart():
    one, two = torch.randn(2, 4, 3)
    assert info_nce(one, two, CONFIG, torch.ones(4, 4, dtype=torch.bool)) == 0


@pytest.mark.parametrize(("key", "value"), [("contrast_weight", -0.1), ("temperature", 0.0)])
def test_a_setting_that_cannot_be_is_named(key, value):
    with pytest.raises(UserError, match=f"model.{key} = {value}: must"):
        CL4SRecConfig(**{key: value})
