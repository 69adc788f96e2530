"""FAME on other backbones: what is left of the backbone, and what FAME brings."""

from __future__ import annotations

import pytest
import torch

from fame.config import BackboneConfig
from fame.errors import UserError
from fame.models.baselines.bert4rec import Bert4Rec, Bert4RecConfig, Cloze
from fame.models.baselines.bsarec import BSARec, BSARecConfig
from fame.models.baselines.faceted import FameBert4Rec, FameBert4RecConfig, FameBSARec, FameBSARecConfig
from fame.models.fame import Fame, FameConfig
from fame.models.sasrec import SASRec
from fame.serving.explanation import explain
from fame.training.fit import fit
from fame.training.stages import stages
from tests.fame.helpers import experiment, random_rows, randomise
from tests.fame.serving.explained import ITEMS, LENGTH, recommender

SIZE = {"dim": 6, "heads": 1, "blocks": 2, "inner": 2}
BACKBONES = {
    "bsarec": (BSARec, BSARecConfig, FameBSARec, FameBSARecConfig),
    "bert4rec": (Bert4Rec, Bert4RecConfig, FameBert4Rec, FameBert4RecConfig),
}


def without(projection: str, model: SASRec) -> SASRec:
    """The model with a linear layer that does nothing."""
    layer = model.get_submodule(projection)
    with torch.no_grad():
        layer.weight.copy_(torch.eye(len(layer.weight)))
        layer.bias.zero_()
    return model


@pytest.mark.parametrize("name", BACKBONES)
@torch.no_grad()
def test_with_one_head_one_expert_and_w_f_the_identity_it_is_its_backbone(name):
    plain, plain_config, faceted, config = BACKBONES[name]
    plain = Cloze if plain is Bert4Rec else plain  # facets take the place of its output layer
    backbone = without("blocks.1.output", randomise(plain(plain_config(**SIZE), 9, 5), seed=1))
    ours = faceted(config(**SIZE, experts=1, facet_scale=1.0), 9, 5).double().eval()
    shared = {key: value for key, value in backbone.state_dict().items() if "blocks.1.output" not in key}
    untouched = ours.load_state_dict(shared, strict=False)
    assert all("router" in key or "gate" in key or key == "facet_projection" for key in untouched.missing_keys)
    items, lengths = random_rows(4, 5, 9, seed=1)
    for method in ("hidden", "encode"):
        expected = getattr(backbone, method)(items, lengths)
        torch.testing.assert_close(getattr(ours, method)(items, lengths), expected, rtol=1e-10, atol=1e-10)


@torch.no_grad()
def test_without_its_filter_fame_on_bsarec_is_fame():
    size = {**SIZE, "heads": 2, "experts": 3}
    ours = randomise(FameBSARec(FameBSARecConfig(**size, alpha=0.0), 9, 5), seed=2)
    plain = Fame(FameConfig(**size), 9, 5).double().eval()
    plain.load_state_dict({key: value for key, value in ours.state_dict().items() if "filter" not in key})
    items, lengths = random_rows(4, 5, 9, seed=2)
    torch.testing.assert_close(ours.hidden(items, lengths), plain.hidden(items, lengths), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("name", BACKBONES)
@torch.no_grad()
def test_facets_make_the_query_and_experts_share_their_attention(name):
    *_, faceted, config = BACKBONES[name]
    model = randomise(faceted(config(**{**SIZE, "heads": 2}, experts=3), 9, 5), seed=3)
    items, lengths = random_rows(4, 5, 9, seed=3)
    queries, weights = model.facet_queries(items, lengths)
    assert queries.shape == (4, 2, 6)
    torch.testing.assert_close((queries * weights[..., None]).sum(1), model.encode(items, lengths))
    attention, shares = model.experts(items, lengths)
    assert attention.shape == (4, 2, 3, 5) and shares.shape == (4, 2, 3)
    assert not attention.permute(0, 3, 1, 2)[torch.arange(5) >= lengths[:, None]].any(), "of the padding"
    torch.testing.assert_close(attention.sum(3), torch.ones(4, 2, 3, dtype=torch.float64))
    torch.testing.assert_close(shares.sum(2), torch.ones(4, 2, dtype=torch.float64))


@pytest.mark.parametrize("name", BACKBONES)
@torch.no_grad()
def test_the_backbone_that_it_starts_from_keeps_all_but_the_last_blocks_query_and_what_follows(name):
    plain, plain_config, faceted, config = BACKBONES[name]
    assert faceted.Backbone is plain
    backbone = randomise(plain(plain_config(**{**SIZE, "heads": 2}), 9, 5), seed=4).float()
    model = faceted(config(**{**SIZE, "heads": 2}, experts=3), 9, 5)
    model.start_from(backbone, BackboneConfig(epochs=1, noise=0.0))
    mine, its = model.state_dict(), backbone.state_dict()
    new = {key for key in mine if key not in its or not torch.equal(mine[key], its[key])}
    fresh = ("router", "gate", "feed_forward.", "attention.query", "attention.bias")
    assert new == {"facet_projection"} | {f"blocks.1.{k}" for k in model.blocks[1].state_dict() if k.startswith(fresh)}


@pytest.mark.parametrize("name", BACKBONES)
def test_a_training_of_two_stages_begins_with_the_plain_backbone(name, tiny, single, tmp_path):
    settings = experiment(model={"name": f"fame_{name}"}, train={"epochs": 1}, backbone={"epochs": 2})
    reports = list(fit(settings, tiny, tmp_path, single))
    assert [report.stage for report in reports] == ["backbone", "backbone", f"fame_{name}"]
    assert stages(settings)[0].model == BACKBONES[name][1](dim=8, inner=2, dropout=0.2, attention_dropout=0.2)
    assert reports[2].loss < reports[0].loss


@pytest.mark.parametrize("name", BACKBONES)
def test_it_is_explained_like_fame(name):
    *_, faceted, config = BACKBONES[name]
    model = randomise(faceted(config(**{**SIZE, "heads": 2}, experts=3), ITEMS, LENGTH), seed=5)
    found = explain(recommender(model), [3, 1, 4], 4)
    assert len(found.history) == 3 and len(found.facets) == 2
    for item, parts in zip(found.items, found.parts, strict=True):
        assert sum(parts) == pytest.approx(item.score)
    for facet in found.facets:
        assert all(sum(expert.attention) == pytest.approx(1) for expert in facet.experts)


def test_the_filter_needs_the_residual():
    with pytest.raises(UserError, match=r"model\.attention_residual = False: the filter is part of the residual sum"):
        FameBSARecConfig(attention_residual=False)
