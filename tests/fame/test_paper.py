"""Test the reference of the paper by properties that follow from its equations."""

import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fame import paper
from tests.fame.paper import PaperBlock, PaperFacetBlock, PaperOptions, PaperWeights

V, T_MAX = 5, 5


def random_weights(seed, *, H=2, N=2, K=2, blocks=1, inner=None, **options):
    """Draw a model of the given shape, with every optional weight."""
    draw, D = torch.Generator().manual_seed(seed), H * K

    def normal(*shape):
        return torch.randn(*shape, generator=draw, dtype=torch.float64)

    def per_head(*shape):
        return [normal(*shape) for _ in range(H)]

    def per_expert(*shape):
        return [[normal(*shape) for _ in range(N)] for _ in range(H)]

    def feed_forward_and_norm(width, norm):
        wide = inner or width
        return {
            "W_1": normal(width, wide), "b_1": normal(wide), "W_2": normal(wide, width), "b_2": normal(width),
            "ln_weight": normal(norm), "ln_bias": normal(norm),
            "attention_ln_weight": normal(D), "attention_ln_bias": normal(D),
        }  # fmt: skip

    chosen = PaperOptions(**options)
    return PaperWeights(
        item_vectors=normal(V, D),
        blocks=[
            PaperBlock(
                W_Q=per_head(D, K), W_K=per_head(D, K), W_V=per_head(D, K), W_O=normal(D, D),
                b_Q=per_head(K), b_K=per_head(K), b_V=per_head(K), b_O=normal(D),
                relative=per_head(T_MAX), **feed_forward_and_norm(D, D),
            )
            for _ in range(blocks)
        ],
        facet_block=PaperFacetBlock(
            W_Qn=per_expert(D, K), W_K=per_head(D, K), W_V=per_head(D, K),
            b_Qn=per_expert(K), b_K=per_head(K), b_V=per_head(K),
            W_exp=per_head(N * K, N), b_exp=per_head(N), W_f=per_head(D, K), W_g=normal(D, H), b_g=normal(H),
            relative=per_expert(T_MAX), **feed_forward_and_norm(K, K if chosen.facet_norm == "facet" else D),
        ),
        position_vectors=normal(T_MAX, D),
        embedding_ln_weight=normal(D),
        embedding_ln_bias=normal(D),
        options=chosen,
    )  # fmt: skip


@st.composite
def models(draw, **fixed):
    """Draw a model and an input of it."""
    shape = {
        "H": draw(st.integers(1, 3)), "N": draw(st.integers(1, 3)), "K": draw(st.integers(1, 3)),
        "blocks": draw(st.integers(0, 2)), "inner": draw(st.sampled_from([None, 1, 4])),
        "positions": draw(st.sampled_from(["left", "right", "none", "relative"])),
        "attention_residual": draw(st.booleans()), "activation": draw(st.sampled_from(["relu", "gelu"])),
        "facet_norm": draw(st.sampled_from(["facet", "joint"])), "embedding_norm": draw(st.booleans()),
    }  # fmt: skip
    items = draw(st.lists(st.integers(0, V - 1), min_size=1, max_size=3))
    return random_weights(draw(st.integers(0, 2**20)), **(shape | fixed)), items


few = settings(max_examples=10, deadline=None)


def vector(*values):
    return torch.tensor(values, dtype=torch.float64)


def with_facet_block(weights, **changes):
    return replace(weights, facet_block=replace(weights.facet_block, **changes))


@few
@given(models())
def test_every_softmax_sums_to_one_over_its_own_axis(case):
    weights, items = case
    t = len(items) - 1
    for h in range(len(weights.facet_block.W_Qn)):
        for n in range(len(weights.facet_block.W_Qn[h])):
            row = paper.expert_attention(weights, items, t, h, n)
            assert len(row) == t + 1 and sum(row).item() == pytest.approx(1)
        shares = paper.router_shares(weights, items, t, h)
        assert len(shares) == len(weights.facet_block.W_Qn[h]) and sum(shares).item() == pytest.approx(1)
    assert sum(paper.gate(weights, items, t)).item() == pytest.approx(1)


@few
@given(models(H=1, N=1, positions="left"), st.booleans())
def test_one_head_and_one_expert_with_identity_w_f_is_sasrec_without_w_o(case, relative):
    weights, items = case
    if relative:
        weights = replace(weights, options=replace(weights.options, positions="relative"))
    facet = weights.facet_block
    D = weights.item_vectors.shape[1]
    weights = with_facet_block(weights, W_f=[torch.eye(D, dtype=torch.float64)])
    last = PaperBlock(
        W_Q=[facet.W_Qn[0][0]], W_K=facet.W_K, W_V=facet.W_V, W_O=torch.eye(D, dtype=torch.float64),
        b_Q=[facet.b_Qn[0][0]], b_K=facet.b_K, b_V=facet.b_V, relative=[facet.relative[0][0]],
        W_1=facet.W_1, b_1=facet.b_1, W_2=facet.W_2, b_2=facet.b_2,
        ln_weight=facet.ln_weight, ln_bias=facet.ln_bias,
        attention_ln_weight=facet.attention_ln_weight, attention_ln_bias=facet.attention_ln_bias,
    )  # fmt: skip
    sasrec = replace(weights, blocks=[*weights.blocks, last], facet_block=None)
    torch.testing.assert_close(paper.scores(weights, items), paper.sasrec_scores(sasrec, items))


@few
@given(models(attention_residual=False, facet_norm="facet"))
def test_with_a_zero_ffn_a_facet_is_the_layer_norm_of_the_experts_mixture(case):
    weights, items = case
    facet = weights.facet_block
    weights = with_facet_block(weights, W_2=torch.zeros_like(facet.W_2), b_2=torch.zeros_like(facet.b_2))
    t = len(items) - 1
    for h, F_h in enumerate(paper.facets(weights, items, t)):
        outputs = torch.stack(paper.expert_outputs(weights, items, t, h))
        f_h = torch.stack(paper.router_shares(weights, items, t, h)) @ outputs
        expected = torch.nn.functional.layer_norm(f_h, f_h.shape, facet.ln_weight, facet.ln_bias, 1e-5)
        torch.testing.assert_close(F_h, expected)


@few
@given(models(N=3), st.permutations(range(3)))
def test_the_order_of_the_experts_does_not_matter(case, order):
    weights, items = case
    facet = weights.facet_block
    K = facet.W_K[0].shape[1]
    rows = [n * K + k for n in order for k in range(K)]
    permuted = with_facet_block(
        weights,
        W_Qn=[[experts[n] for n in order] for experts in facet.W_Qn],
        b_Qn=[[experts[n] for n in order] for experts in facet.b_Qn],
        relative=[[experts[n] for n in order] for experts in facet.relative],
        W_exp=[W[rows][:, list(order)] for W in facet.W_exp],
        b_exp=[b[list(order)] for b in facet.b_exp],
    )
    torch.testing.assert_close(paper.scores(permuted, items), paper.scores(weights, items))


@few
@given(models())
def test_a_zero_gate_gives_the_mean_of_the_facets_scores(case):
    weights, items = case
    facet = weights.facet_block
    weights = with_facet_block(weights, W_g=torch.zeros_like(facet.W_g), b_g=torch.zeros_like(facet.b_g))
    torch.testing.assert_close(paper.scores(weights, items), paper.facet_scores(weights, items).mean(dim=0))


@few
@given(models(positions="left"), st.integers(0, V - 1))
def test_a_later_item_does_not_change_an_earlier_position(case, later):
    weights, items = case
    t = len(items) - 1
    torch.testing.assert_close(paper.scores(weights, [*items, later], t), paper.scores(weights, items))
    torch.testing.assert_close(paper.sasrec_scores(weights, [*items, later], t), paper.sasrec_scores(weights, items))


@few
@given(models(positions="left"))
def test_positions_from_the_newest_item_read_the_table_backwards(case):
    weights, items = case
    right = replace(
        weights,
        position_vectors=weights.position_vectors[: len(items)].flip(0),
        options=replace(weights.options, positions="right"),
    )
    torch.testing.assert_close(paper.scores(right, items), paper.scores(weights, items))


def hand_model(**changes):
    """Return a model of two items x_0 = (1, 0) and x_1 = (0, 1), with one head and two experts.

    Expert 1 has a zero query. Expert 2 gives x_1 the score ln 3 for itself and 0 for x_0.
    """
    one, zero = torch.eye(2, dtype=torch.float64), torch.zeros(2, 2, dtype=torch.float64)
    block = PaperFacetBlock(
        W_Qn=[[zero, one * math.sqrt(2) * math.log(3)]],
        W_K=[one], W_V=[one],
        W_exp=[torch.zeros(4, 2, dtype=torch.float64)], b_exp=[vector(math.log(3), 0)],
        W_1=one, b_1=vector(0, -1), W_2=2 * one, b_2=vector(0, 0.5),
        ln_weight=vector(3, 5), ln_bias=vector(1, 0),
        W_f=[torch.tensor([[1, 1], [0, 1]], dtype=torch.float64)],
        W_g=torch.zeros(2, 1, dtype=torch.float64), b_g=vector(0),
    )  # fmt: skip
    options = PaperOptions(positions="none", epsilon=0)
    return PaperWeights(item_vectors=one, blocks=[], facet_block=replace(block, **changes), options=options)


def test_a_model_of_two_numbers_gives_what_a_person_computes():
    weights = hand_model()
    assert [a.item() for a in paper.expert_attention(weights, [0, 1], 1, 0, 0)] == pytest.approx([0.5, 0.5])
    assert [a.item() for a in paper.expert_attention(weights, [0, 1], 1, 0, 1)] == pytest.approx([0.25, 0.75])
    assert [b.item() for b in paper.router_shares(weights, [0, 1], 1, 0)] == pytest.approx([0.75, 0.25])
    # f = .75 (.5, .5) + .25 (.25, .75) = (.4375, .5625); f W1 + b1 = (.4375, −.4375); RELU: (.4375, 0)
    # FFN' = (.875, .5); f + FFN' = (1.3125, 1.0625); normed (1, −1); times (3, 5) plus (1, 0): (4, −5)
    torch.testing.assert_close(paper.facets(weights, [0, 1], 1), [vector(4, -5)])
    # x_0 W_f = (1, 1) scores 4 − 5; x_1 W_f = (0, 1) scores −5
    torch.testing.assert_close(paper.scores(weights, [0, 1]), vector(-1, -5))


def test_the_gate_weighs_two_facets_by_hand():
    # Facets of one number: LayerNorm leaves only its bias, so F^1 = F^2 = 2. The gate is softmax(ln 3, 0) = (3/4, 1/4).
    # x_0 W_f^1 = 1 and x_0 W_f^2 = 0: the score is 3/4 · 2. For x_1 it is 1/4 · 2.
    column = [vector(1, 0)[:, None], vector(0, 1)[:, None]]
    weights = hand_model(
        W_Qn=[column, column], W_K=column, W_V=column, W_f=column,
        W_exp=[torch.zeros(2, 2, dtype=torch.float64)] * 2, b_exp=[vector(0, 0)] * 2,
        W_1=torch.ones(1, 1, dtype=torch.float64), b_1=vector(0), W_2=torch.ones(1, 1, dtype=torch.float64),
        b_2=vector(0), ln_weight=vector(7), ln_bias=vector(2),
        W_g=torch.zeros(2, 2, dtype=torch.float64), b_g=vector(math.log(3), 0),
    )  # fmt: skip
    weights = replace(weights, options=replace(weights.options, epsilon=1e-5))
    torch.testing.assert_close(paper.scores(weights, [0, 1]), vector(1.5, 0.5))


def hand_sasrec(**options):
    """Return one block over the items (1, 0) and (0, 1) that attends with (1/4, 3/4) from x_1.

    So head_1 = (.25, .75). W_O swaps its numbers: f = (.75, .25). The FFN gives zero.
    """
    one, zero = torch.eye(2, dtype=torch.float64), torch.zeros(2, 2, dtype=torch.float64)
    block = PaperBlock(
        W_Q=[one * math.sqrt(2) * math.log(3)], W_K=[one], W_V=[one], W_O=one.flip(0),
        W_1=zero, b_1=vector(0, 0), W_2=zero, b_2=vector(0, 0), ln_weight=vector(1, 1), ln_bias=vector(0, 0),
        attention_ln_weight=vector(1, 1), attention_ln_bias=vector(0, 0),
    )  # fmt: skip
    return PaperWeights(
        one,
        [block],
        embedding_ln_weight=vector(2, 2),
        embedding_ln_bias=vector(0, 1),
        options=PaperOptions(**({"positions": "none", "epsilon": 0} | options)),
    )


def test_a_sasrec_block_of_two_numbers_gives_what_a_person_computes():
    # The norm of (.75, .25) is (1, −1).
    torch.testing.assert_close(paper.sasrec_scores(hand_sasrec(), [0, 1]), vector(1, -1))


def test_a_residual_around_the_attention_adds_the_blocks_input_by_hand():
    # X + f = (0, 1) + (.75, .25) = (.75, 1.25), whose norm is (−1, 1).
    torch.testing.assert_close(paper.sasrec_scores(hand_sasrec(attention_residual=True), [0, 1]), vector(-1, 1))


def test_an_embeddings_norm_is_over_its_own_numbers():
    # (1, 0) is normed to (1, −1); times 2 plus (0, 1): (2, −1). (0, 1) becomes (−1, 1), then (−2, 3).
    X = paper.embeddings(hand_sasrec(embedding_norm=True), [0, 1])
    torch.testing.assert_close(X, [vector(2, -1), vector(-2, 3)])


def test_activations_have_their_known_values():
    x = vector(-1, 0, 1)
    torch.testing.assert_close(paper.activate(x, "relu"), vector(0, 0, 1))
    torch.testing.assert_close(paper.activate(x, "gelu"), vector(-0.15865525393, 0, 0.84134474607))


def test_a_relative_bias_is_added_to_the_scaled_score():
    # Without queries the scores are the biases: 0 at distance 0 and ln 4 at distance 1.
    weights = hand_model(W_Qn=[[torch.zeros(2, 2, dtype=torch.float64)] * 2], relative=[[vector(0, math.log(4))] * 2])
    weights = replace(weights, options=replace(weights.options, positions="relative"))
    assert [a.item() for a in paper.expert_attention(weights, [0, 1], 1, 0, 0)] == pytest.approx([0.8, 0.2])


def test_the_joint_norm_mixes_the_heads_and_the_facet_norm_does_not():
    separate = random_weights(0, H=2, K=3)
    joint = random_weights(0, H=2, K=3, facet_norm="joint")
    ones = {"ln_weight": torch.ones(6).double(), "ln_bias": torch.zeros(6).double()}
    F = torch.cat(paper.facets(with_facet_block(joint, **ones), [0, 1], 1))
    assert F.sum().item() == pytest.approx(0, abs=1e-9) and F[:3].sum().abs() > 0.1
    ones = {name: value[:3] for name, value in ones.items()}
    for F_h in paper.facets(with_facet_block(separate, **ones), [0, 1], 1):
        assert F_h.sum().item() == pytest.approx(0, abs=1e-9)
