"""The heat map shows what it is given."""

from __future__ import annotations

from xml.etree import ElementTree

from fame.text.heatmap import heat_map


def test_the_heat_map_is_svg_with_every_value():
    text = heat_map("a & b", ["x<y", "z"], ["head 0", "head 1"], [[0.0, 1.0], [0.25, 0.5]])
    found = [element.text for element in ElementTree.fromstring(text).iter("{http://www.w3.org/2000/svg}text")]
    assert found == ["a & b", "head 0", "head 1", "x<y", "0.00", "1.00", "z", "0.25", "0.50"]
