"""Explanations: the figures of the paper's loops, and a sum that is the score."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fame.errors import UserError
from fame.models.sasrec import SASRec, SASRecConfig
from fame.serving.explanation import explain, facet_labels
from fame.serving.request import Request
from tests.fame import paper
from tests.fame.paper_weights import paper_weights
from tests.fame.serving.explained import ITEMS, LENGTH, fame, recommender


@pytest.mark.parametrize("facet_norm", ["facet", "joint"])
@pytest.mark.parametrize("residual", [True, False])
@torch.no_grad()
def test_every_figure_is_that_of_the_papers_loops(residual, facet_norm):
    model = fame(attention_residual=residual, facet_norm=facet_norm, positions="relative")
    history, weights = [3, 1, 7, 7, 12], paper_weights(model)
    items, t = [number - 1 for number in history], len(history) - 1
    found = explain(recommender(model), history, ITEMS)
    gate, scores_HV = paper.gate(weights, items, t), paper.facet_scores(weights, items)
    for h, facet in enumerate(found.facets):
        assert facet.weight == pytest.approx(float(gate[h]), abs=1e-12)
        for item in facet.alone:
            assert item.score == pytest.approx(float(scores_HV[h, int(item.id[1:])]), abs=1e-10)
        shares = list(map(float, paper.router_shares(weights, items, t, h)))
        assert [expert.weight for expert in facet.experts] == pytest.approx(shares, abs=1e-12)
        for n, expert in enumerate(facet.experts):
            expected = list(map(float, paper.expert_attention(weights, items, t, h, n)))
            assert expert.attention == pytest.approx(expected, abs=1e-12)
    scores_V = paper.scores(weights, items)
    for item, parts in zip(found.items, found.parts, strict=True):
        v = int(item.id[1:])
        assert item.score == pytest.approx(float(scores_V[v]), abs=1e-10)
        assert parts == pytest.approx([float(g * p) for g, p in zip(gate, scores_HV[:, v], strict=True)], abs=1e-10)


@given(
    history=st.lists(st.integers(1, ITEMS), min_size=1, max_size=9),
    heads=st.sampled_from([1, 2, 3]),
    experts=st.integers(1, 4),
    seed=st.integers(0, 99),
)
def test_the_facets_parts_sum_to_the_final_score_and_shares_to_one(history, heads, experts, seed):
    model = fame(seed, heads=heads, experts=experts)
    server = recommender(model)
    found = explain(server, history, 4)
    (answer,) = server.recommend([Request(history=[f"i{v - 1}" for v in history], top=4)])
    assert [item.id for item in found.items] == [item.id for item in answer.items]
    for item, parts, served in zip(found.items, found.parts, answer.items, strict=True):
        assert sum(parts) == pytest.approx(item.score, abs=1e-10) == pytest.approx(served.score, abs=1e-10)
    assert [facet.weight for facet in found.facets] == pytest.approx(answer.facets)
    assert sum(facet.weight for facet in found.facets) == pytest.approx(1)
    for facet in found.facets:
        assert sum(expert.weight for expert in facet.experts) == pytest.approx(1)
        assert all(sum(expert.attention) == pytest.approx(1) for expert in facet.experts)
        assert not {item.id for item in facet.alone} & {f"i{v - 1}" for v in history}
    assert found.history == [f"Title {v - 1}" for v in history[-LENGTH:]]
    assert found.older == max(0, len(history) - LENGTH)


def test_facets_have_the_names_of_what_their_heads_learned_from_text():
    named = recommender(fame(), facets=(("brand", "genre"), ()))
    assert facet_labels(named.exported, 2) == ["brand + genre", "facet 2"]
    assert [facet.name for facet in explain(named, [1], 3).facets] == ["brand + genre", "facet 2"]
    assert facet_labels(recommender(fame()).exported, 2) == ["facet 1", "facet 2"]


def test_a_model_without_facets_and_an_empty_history_are_said():
    model = SASRec(SASRecConfig(dim=6, heads=2, inner=2), ITEMS, LENGTH).eval()
    with pytest.raises(UserError, match="model 'sasrec' has no facets to explain"):
        explain(recommender(model), [1, 2], 3)
    with pytest.raises(UserError, match="an empty history"):
        explain(recommender(fame()), [], 3)
