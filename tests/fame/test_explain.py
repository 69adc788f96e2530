"""Explanations: against the paper's loops, as a sum that is the score, and as a person sees them."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fame import explain as command
from fame import train
from fame.config.tree import experiment_from_dict
from fame.errors import UserError
from fame.models.fame import Fame, FameConfig
from fame.models.sasrec import SASRec, SASRecConfig
from fame.serving.explanation import WIDTH, Expert, Explanation, Facet, explain, facet_labels, terminal_view
from fame.serving.exported import Catalogue, ExportedModel
from fame.serving.picture import picture
from fame.serving.recommender import Recommender
from fame.serving.request import Recommendation, Request
from tests.commands import call, write_config
from tests.fame import paper
from tests.fame.helpers import randomise
from tests.fame.paper_weights import paper_weights

ITEMS, LENGTH = 12, 5


def recommender(model: torch.nn.Module, facets: tuple[tuple[str, ...], ...] = (), **sections: object) -> Recommender:
    """A model of `ITEMS` items that reads `LENGTH` of them, as if it had been exported."""
    tree = {"model": {"name": model.config.name}, "data": {"max_length": LENGTH}, **sections}
    catalogue = Catalogue(
        ids=[f"i{v}" for v in range(ITEMS)], titles=[f"Title {v}" for v in range(ITEMS)], counts=[*range(ITEMS)]
    )
    exported = ExportedModel(model=model, experiment=experiment_from_dict(tree), catalogue=catalogue, facets=facets)
    return Recommender(exported)


def fame(seed: int = 0, **settings: object) -> Fame:
    return randomise(
        Fame(FameConfig(**{"dim": 6, "heads": 2, "experts": 3, "inner": 2, **settings}), ITEMS, LENGTH), seed
    )


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


def drawn(text: str) -> tuple[ElementTree.Element, list[str]]:
    """The picture's root and its texts."""
    root = ElementTree.fromstring(text)
    return root, [element.text for element in root.iter("{http://www.w3.org/2000/svg}text")]


def test_the_picture_has_every_figure_and_loads_nothing():
    found = explain(recommender(fame(), facets=(("brand",), ("genre",))), [3, 1, 7], 3)
    svg = picture(found, "A & <B>")
    _, texts = drawn(svg)
    assert texts[0] == "A & <B>"
    for facet in found.facets:
        assert facet.name in texts and f"{facet.weight:.2f}" in texts
        for expert in facet.experts:
            assert f"{expert.weight:.2f}" in texts
            assert all(f"{share:.2f}" in texts for share in expert.attention)
        for item in facet.alone:
            assert f"{item.score:.2f}" in texts
    for item, parts in zip(found.items, found.parts, strict=True):
        assert f"{item.score:.2f}" in texts
        assert all(f"{part:+.2f}" in texts for part in parts)
    assert svg.count("http") == svg.count("http://www.w3.org/2000/svg") == 1


@pytest.mark.parametrize(("heads", "experts", "read"), [(1, 1, 1), (2, 4, 50), (8, 8, 50)])
def test_nothing_is_drawn_outside_the_picture_or_printed_beyond_80_columns(heads, experts, read):
    items = [Recommendation(id=i, title=f"A rather long <title> {i} " * 6, score=-12.5 - i) for i in range(5)]
    expert = Expert(weight=1 / experts, attention=[1 / read] * read)
    facets = [
        Facet(name="brand + category_2", weight=1 / heads, alone=items, experts=[expert] * experts)
        for _ in range(heads)
    ]
    found = Explanation(
        history=[item.title for item in items * 10][:read],
        older=3,
        facets=facets,
        items=items,
        parts=[[-1.5] * heads] * 5,
    )
    root, texts = drawn(picture(found, "long " * 100))
    width, height = float(root.get("width")), float(root.get("height"))
    for element in root:
        x, y = (float(element.get(axis, 0)) for axis in "xy")
        assert x >= 0 and x + float(element.get("width", 0)) <= width
        assert y >= 0 and y + float(element.get("height", 0)) <= height
    assert all(len(text) < 180 for text in texts)
    assert max(map(len, terminal_view(found, "title").splitlines())) <= WIDTH


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trained model of the synthetic dataset."""
    work = tmp_path_factory.mktemp("explain")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FAME_DATA", str(work / "cache"))
        config = write_config(work / "c.yaml")
        assert call(train.main, "--config", config, "--output", work / "out").code == 0
    return work / "out" / "best"


def test_the_command_shows_a_user_and_draws_the_picture(folder, monkeypatch, tmp_path):
    monkeypatch.setenv("FAME_DATA", str(folder.parent.parent / "cache"))
    target = tmp_path / "deep" / "why.svg"
    done = call(command.main, "--model", folder, "--user", "3", "--top", 2, "--picture", target)
    assert done.code == 0, done.err
    lines = done.out.splitlines()
    assert lines[0] == "synthetic, fame: user 3"
    assert sum(line.startswith("  expert ") for line in lines) == 4
    assert lines[-1] == f"picture → {target}"
    _, texts = drawn(target.read_text(encoding="utf-8"))
    assert texts[0] == lines[0]


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (
            ["--history", "1", "--picture", "why.png"],
            "--picture why.png: pictures are SVG; give a name that ends in .svg",
        ),
        (["--history", "1", "--top", "0"], "--top 0: must be at least 1"),
        (["--history", "1", "--picture", "/proc/why.svg"], "cannot write /proc/why.svg"),
        (["--history", "no"], "--history: the model knows no item 'no'"),
    ],
)
def test_what_cannot_be_explained_is_one_line(args, words, folder):
    done = call(command.main, "--model", folder, *args)
    assert done.code == 2
    assert done.err.startswith(f"error: {words}") and done.err.count("\n") == 1
