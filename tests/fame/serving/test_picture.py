"""The picture of an explanation."""

from __future__ import annotations

import pytest

from fame.serving.explanation import WIDTH, Expert, ExplainedFacet, Explanation, explain, terminal_view
from fame.serving.picture import picture
from fame.serving.request import Recommendation
from tests.fame.serving.explained import drawn, fame, recommender


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
        ExplainedFacet(name="brand + category_2", weight=1 / heads, alone=items, experts=[expert] * experts)
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
