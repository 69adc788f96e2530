"""FAME's block with one head and one expert is SASRec's."""

from __future__ import annotations

import pytest
import torch

from fame.models.fame import Fame, FameConfig
from fame.models.sasrec import SASRec, SASRecConfig
from tests.fame.helpers import random_rows, randomise

POSITIONS = ["relative", "absolute", "absolute_right", "none"]


@pytest.mark.parametrize("facet_norm", ["facet", "joint"])
@pytest.mark.parametrize("positions", POSITIONS)
@torch.no_grad()
def test_fame_with_one_head_one_expert_and_w_f_the_identity_is_sasrec_without_output_projection(positions, facet_norm):
    shared = {"dim": 6, "heads": 1, "blocks": 2, "inner": 2, "positions": positions}
    sasrec = randomise(SASRec(SASRecConfig(**shared), 9, 5), seed=6)
    sasrec.blocks[-1].output.weight.copy_(torch.eye(6))
    sasrec.blocks[-1].output.bias.zero_()
    fame = Fame(FameConfig(experts=1, facet_scale=1.0, facet_norm=facet_norm, **shared), 9, 5).double().eval()
    untouched = fame.load_state_dict(
        {key: value for key, value in sasrec.state_dict().items() if "blocks.1.output" not in key}, strict=False
    )
    assert set(untouched.missing_keys) == {
        "facet_projection", "blocks.1.router_weight", "blocks.1.router_bias", "blocks.1.gate.weight", "blocks.1.gate.bias"
    }  # fmt: skip
    items, lengths = random_rows(4, 5, 9, seed=6)
    for method in ("hidden", "encode"):
        ours, theirs = getattr(fame, method)(items, lengths), getattr(sasrec, method)(items, lengths)
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)
