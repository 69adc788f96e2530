"""FAME against the paper's equations in plain loops (`paper.py`), and what serving relies on."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from fame.config import BackboneConfig
from fame.datasets.batches import Batch, Batcher, device_values
from fame.datasets.sequences import training_windows
from fame.errors import UserError
from fame.losses.objective import Softmax
from fame.models.fame import Fame, FameConfig
from fame.models.layers import attention
from fame.models.sasrec import SASRec, SASRecConfig
from tests.fame import paper
from tests.fame.helpers import CPU, random_rows, randomise, same_tensors
from tests.fame.paper_weights import paper_weights

POSITIONS = ["relative", "absolute", "absolute_right", "none"]
NO_DROPOUT = {"dropout": 0.0, "attention_dropout": 0.0}


def difference_from_paper(model: Fame, batch: int, seed: int) -> float:
    """Largest |score − score of the paper's loops| over real positions and all items, of `hidden` and of `encode`."""
    items, lengths = random_rows(batch, model.max_length, model.item_count, seed)
    table = model.item_table()
    everywhere, last = model.hidden(items, lengths) @ table.T, model.encode(items, lengths) @ table.T
    weights, largest = paper_weights(model), 0.0
    for b, length in enumerate(lengths.tolist()):
        row = (items[b, :length] - 1).tolist()
        for t in range(length):
            expected = paper.scores(weights, row, t)
            largest = max(largest, float((everywhere[b, t] - expected).abs().max()))
        largest = max(largest, float((last[b] - expected).abs().max()))
    return largest


@pytest.mark.parametrize("residual", [False, True], ids=["printed", "attention-residual"])
@torch.no_grad()
def test_fame_is_the_papers_equations_for_ten_random_shapes(residual):
    draw, largest = np.random.default_rng(0), 0.0
    print("\nFAME against Eq. 5 and 7–17 in loops (tests/fame/paper.py), float64:")
    for seed in range(10):
        heads, experts, blocks = (int(draw.integers(1, most + 1)) for most in (4, 5, 3))
        width, length, item_count, batch = (int(draw.integers(2, most + 1)) for most in (4, 5, 12, 3))
        config = FameConfig(
            dim=heads * width,
            heads=heads,
            experts=experts,
            blocks=blocks,
            inner=1,
            activation="relu",
            facet_norm="facet",
            attention_residual=residual,
            positions="absolute",
        )
        model = randomise(Fame(config, item_count, length), seed, std=0.5)
        found = difference_from_paper(model, batch, seed)
        largest = max(largest, found)
        shape = f"H={heads} N={experts} D={heads * width} blocks={blocks} T={length} V={item_count} B={batch}"
        print(f"  {shape:45} max |difference| = {found:.1e}")
    print(f"  {'all':45} max |difference| = {largest:.1e}")
    assert largest < 1e-10


@pytest.mark.parametrize("facet_norm", ["facet", "joint"])
@pytest.mark.parametrize("positions", ["relative", "absolute", "none"])
@pytest.mark.parametrize("residual", [True, False])
@pytest.mark.parametrize("fused", [True, False])
@torch.no_grad()
def test_fames_variants_are_those_of_the_loops_on_either_path(fused, residual, positions, facet_norm, monkeypatch):
    monkeypatch.setattr(attention, "fuses", lambda x: fused)
    config = FameConfig(
        dim=6,
        heads=2,
        experts=3,
        blocks=2,
        inner=2,
        attention_residual=residual,
        positions=positions,
        facet_norm=facet_norm,
    )
    assert difference_from_paper(randomise(Fame(config, 7, 4), seed=3), batch=2, seed=3) < 1e-10


@torch.no_grad()
def test_positions_from_the_right_are_those_of_the_loops():
    config = FameConfig(dim=6, heads=2, experts=2, inner=2, positions="absolute_right")
    assert difference_from_paper(randomise(Fame(config, 7, 5), seed=4), batch=3, seed=4) < 1e-10


def variants() -> list:
    plain = [
        SASRecConfig(dim=8, inner=2, positions=p, attention_residual=r)
        for p, r in itertools.product(POSITIONS, [True, False])
    ]
    facets = [
        FameConfig(dim=8, inner=2, experts=3, positions=p, attention_residual=r, facet_norm=n)
        for p, r, n in itertools.product(POSITIONS, [True, False], ["joint", "facet"])
    ]
    return plain + facets


def variant_name(config) -> str:
    residual = "residual" if config.attention_residual else "printed"
    return f"{config.name}-{config.positions}-{residual}-{getattr(config, 'facet_norm', 'plain')}"


def built(config, item_count: int = 11, max_length: int = 6, seed: int = 7):
    return randomise({"sasrec": SASRec, "fame": Fame}[config.name](config, item_count, max_length), seed)


@pytest.mark.parametrize("config", variants(), ids=variant_name)
@torch.no_grad()
def test_encode_is_hidden_at_the_last_position(config):
    model = built(config)
    items, lengths = random_rows(5, 6, 11, seed=8)
    hidden = model.hidden(items, lengths)
    expected = torch.stack([hidden[b, n - 1] for b, n in enumerate(lengths)])
    torch.testing.assert_close(model.encode(items, lengths), expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("config", [c for c in variants() if c.positions != "absolute_right"], ids=variant_name)
@torch.no_grad()
def test_a_position_is_read_as_if_its_sequence_ended_there(config):
    """So `train.mode: all` learns what evaluation asks. Positions from the right lack this."""
    model = built(config)
    items, lengths = random_rows(1, 6, 11, seed=9)
    hidden = model.hidden(items, lengths)
    for t in range(1, 7):
        torch.testing.assert_close(
            hidden[:, t - 1], model.encode(items[:, :t], torch.tensor([t])), rtol=1e-9, atol=1e-9
        )


@pytest.mark.parametrize("config", [c for c in variants() if c.name == "fame"], ids=variant_name)
@torch.no_grad()
def test_the_facets_queries_weighted_by_the_gate_make_the_query(config):
    model = built(config)
    items, lengths = random_rows(4, 6, 11, seed=10)
    queries, weights = model.facet_queries(items, lengths)
    assert queries.shape == (4, 2, 8)
    assert weights.shape == (4, 2)
    torch.testing.assert_close(weights.sum(1), torch.ones(4, dtype=torch.float64))
    torch.testing.assert_close(
        (queries * weights[..., None]).sum(1), model.encode(items, lengths), rtol=1e-10, atol=1e-10
    )


@torch.no_grad()
def test_a_uniform_gate_and_the_slices_of_the_identity_score_the_plain_dot_product():
    model = Fame(FameConfig(dim=8, heads=4, experts=2, facet_init="slice"), 11, 6).eval()
    model.blocks[-1].gate.weight.zero_()
    items, lengths = random_rows(3, 6, 11, seed=11)
    facets, weights = model.blocks[-1](model._before_last_block(items, lengths))
    assert torch.equal(weights, torch.full_like(weights, 1 / 4))
    torch.testing.assert_close(model.hidden(items, lengths), facets.flatten(2))


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"facet_init": "slice"}, 2 * torch.eye(8)),
        ({"facet_init": "slice", "facet_scale": 0.5}, torch.eye(8) / 2),
    ],
)
def test_w_f_starts_as_scaled_slices_of_the_identity(settings, expected):
    assert torch.equal(Fame(FameConfig(dim=8, heads=2, **settings), 3, 4).facet_projection.detach(), expected)


def test_a_random_w_f_has_the_deviation_of_the_other_weights_times_its_scale():
    for scale in (None, 3.0):
        config = FameConfig(dim=64, facet_init="random", init_std=0.05, facet_scale=scale)
        assert Fame(config, 3, 4).facet_projection.std().item() == pytest.approx(0.05 * (scale or 1), rel=0.1)


def batch_of(model, mode: str, sequences) -> Batch:
    batcher = Batcher(device_values(sequences, CPU), training_windows(sequences, mode, model.max_length))
    return next(batcher.epoch(16, np.random.default_rng(0)))


@pytest.mark.parametrize("name", ["sasrec", "fame"])
@pytest.mark.parametrize("mode", ["all", "prefix"])
def test_the_loss_is_the_cross_entropy_of_each_target_given_its_history(mode, name, tiny):
    config = {"sasrec": SASRecConfig, "fame": FameConfig}[name](dim=8, inner=2, init_std=0.3, **NO_DROPOUT)
    model = {"sasrec": SASRec, "fame": Fame}[name](config, tiny.item_count, 6)
    batch = batch_of(model, mode, tiny)
    expected, targets = torch.zeros(()), iter(batch.targets_R)
    for row, length in zip(batch.items_BT, batch.lengths_B.tolist(), strict=True):
        for t in [length] if mode == "prefix" else range(1, length + 1):
            scores = model.encode(row[None, :t], torch.tensor([t])) @ model.items.weight[1:].T
            expected = expected + F.cross_entropy(scores, next(targets)[None] - 1, reduction="sum")
    loss = model(batch, Softmax("float32"))
    torch.testing.assert_close(loss, expected, rtol=1e-5, atol=1e-4)
    weights = dict(model.named_parameters())
    got = torch.autograd.grad(loss, list(weights.values()))
    want = torch.autograd.grad(expected, list(weights.values()))
    for key, a, b in zip(weights, got, want, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-4, msg=lambda m, key=key: f"{key}: {m}")


def test_the_row_of_the_padding_stays_zero_in_training(tiny):
    model = Fame(FameConfig(dim=8, inner=2), tiny.item_count, 6)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1, weight_decay=0.1)
    for _ in range(2):
        model(batch_of(model, "all", tiny)).backward()
        optimizer.step()
    assert not model.items.weight[0].any()
    assert model.items.weight[1:].any(1).all()


# ---- Two-stage training (§4.4.2): what a FAME takes over from its backbone.


def warm_started(facet_norm: str = "joint", **backbone) -> tuple[Fame, Fame, SASRec]:
    """FAME after `start_from`, an equal FAME before it, and the backbone."""
    shared = {"dim": 8, "heads": 2, "blocks": 2, "inner": 2}
    sasrec = randomise(SASRec(SASRecConfig(**shared), 9, 5), seed=12).float()
    fames = []
    for _ in range(2):
        torch.manual_seed(0)
        fames.append(Fame(FameConfig(experts=3, facet_norm=facet_norm, **shared), 9, 5).eval())
    fames[0].start_from(sasrec, BackboneConfig(epochs=1, **backbone))
    return fames[0], fames[1], sasrec


@pytest.mark.parametrize("facet_norm", ["joint", "facet"])
def test_the_backbone_is_kept_but_for_what_the_paper_names_as_new(facet_norm):
    ours, fresh, theirs = warm_started(facet_norm)
    mine, its, before = ours.state_dict(), theirs.state_dict(), fresh.state_dict()
    new = ("blocks.1.output.", "blocks.1.feed_forward.", "blocks.1.attention.query.", "blocks.1.attention.bias")
    new += ("blocks.1.feed_forward_norm.",) if facet_norm == "facet" else ()  # K numbers, where the backbone's has D
    kept = [key for key in its if not key.startswith(new)]
    assert "blocks.1.attention.key_value.weight" in kept and "blocks.1.attention_norm.weight" in kept
    assert all(torch.equal(mine[key], its[key]) for key in kept)
    for key in ("facet_projection", "blocks.1.router_weight", "blocks.1.gate.weight", "blocks.1.feed_forward.0.weight"):
        assert torch.equal(mine[key], before[key]), f"{key} must stay fresh"


@torch.no_grad()
def test_w_f_from_the_backbone_scores_its_output_projection_at_a_uniform_gate():
    """Σ_h g_h W_f^h F^h with g = 1/H is then W_Oᵀ [F^1 ‖ … ‖ F^H], the backbone's f for the same heads."""
    ours, _, theirs = warm_started(facets="output")
    heads = torch.randn(8)
    query = (ours.facet_projection / 2) @ heads
    torch.testing.assert_close(query, heads @ theirs.blocks[-1].output.weight.T)


@torch.no_grad()
def test_without_noise_every_expert_is_the_backbones_head():
    ours, _, theirs = warm_started(noise=0.0)
    x = torch.randn(2, 5, 8)
    experts, heads = ours.blocks[-1].attention(x), theirs.blocks[-1].attention(x)
    for n in range(3):
        torch.testing.assert_close(experts[:, :, :, n], heads[:, :, :, 0])


@torch.no_grad()
def test_noise_parts_the_experts_by_its_share_of_the_weights_deviation():
    ours, _, theirs = warm_started(noise=0.5)
    copied = theirs.blocks[-1].attention.query.weight.view(2, 1, 4, 8)
    noise = ours.blocks[-1].attention.query.weight.view(2, 3, 4, 8) - copied
    assert (noise.std() / copied.std()).item() == pytest.approx(0.5, rel=0.2)
    assert not torch.equal(noise[:, 0], noise[:, 1])


def test_fresh_queries_stay_as_initialised():
    ours, fresh, theirs = warm_started(query="fresh")
    assert torch.equal(ours.blocks[-1].attention.query.weight, fresh.blocks[-1].attention.query.weight)
    bias = theirs.blocks[-1].attention.bias
    assert torch.equal(ours.blocks[-1].attention.bias, bias.repeat_interleave(3, dim=0))


def test_the_backbone_is_not_changed_by_a_model_that_starts_from_it():
    _, _, theirs = warm_started()
    again = randomise(SASRec(theirs.config, 9, 5), seed=12).float()
    assert same_tensors(theirs.state_dict(), again.state_dict())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"heads": 3}, "model.heads = 3: must divide model.dim = 64; use one of 1, 2, 4, 8, 16, 32, 64"),
        ({"dim": 0}, "model.dim = 0: must be at least 1"),
        ({"blocks": 0}, "model.blocks = 0: must be at least 1"),
        ({"heads": 0}, "model.heads = 0: must be at least 1"),
        ({"inner": 0}, "model.inner = 0: must be at least 1"),
        ({"dropout": 1.0}, r"model.dropout = 1.0: must be in [0, 1)"),
        ({"attention_dropout": -0.1}, r"model.attention_dropout = -0.1: must be in [0, 1)"),
        ({"init_std": 0.0}, "model.init_std = 0.0: must be positive"),
        ({"experts": 0}, "model.experts = 0: must be at least 1"),
        ({"facet_scale": 0.0}, "model.facet_scale = 0.0: must be positive"),
    ],
)
def test_each_rule_of_the_models_settings_has_its_message(settings, message):
    with pytest.raises(UserError) as caught:
        FameConfig(**settings)
    assert message in str(caught.value)
